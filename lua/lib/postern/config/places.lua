-- lua/lib/postern/config/places.lua - where things stand in a configuration file.
--
-- Lua knows the line of a call, not that of a key in a table that spans ten lines. So the text is read once more, as tokens, and
-- each table constructor becomes a node { line =, last =, keys = { name = node }, items = { node } }. Nothing depends on it but
-- the line numbers in messages: what is not found (a table made elsewhere, a name computed) has the line of the call.
--
--   local places = require("postern.config.places").scan(source, { listener = true })
--   places:of_word("listener", "relay", line)   -- the constructor of `listener "relay" { ... }` around that line, or nil
--   places:of_assignment("dns", line)           -- the statement `dns = ...` whose end is near that line, or nil

local M = {}
M.__index = M

local OPENS = { ["function"] = true, ["if"] = true, ["do"] = true, ["repeat"] = true, ["("] = true, ["["] = true, ["{"] = true }
local CLOSES = { ["end"] = true, ["until"] = true, [")"] = true, ["]"] = true, ["}"] = true }

local function count_lines(text)
  local _, n = text:gsub("\n", "\n")
  return n
end

-- One token from `at` on, or nil for blanks and comments: kind ("name", "string", "other"), text, the octet behind it.
local function token_at(source, at)
  local c = source:sub(at, at)
  local equals = source:match("^%-%-%[(=*)%[", at)
  if equals then
    local _, stop = source:find("]" .. equals .. "]", at, true)
    return nil, nil, (stop or #source) + 1
  elseif source:sub(at, at + 1) == "--" then
    return nil, nil, source:find("\n", at, true) or #source + 1
  elseif c:match("%s") then
    return nil, nil, source:find("%S", at) or #source + 1
  end
  equals = source:match("^%[(=*)%[", at)
  if equals then
    local first, stop = source:find("]" .. equals .. "]", at, true)
    return "string", source:sub(at + #equals + 2, (first or #source + 1) - 1):gsub("^\n", "", 1), (stop or #source) + 1
  elseif c == '"' or c == "'" then
    local stop = at + 1
    while stop <= #source and source:sub(stop, stop) ~= c do
      stop = stop + (source:sub(stop, stop) == "\\" and 2 or 1)
    end
    return "string", source:sub(at + 1, stop - 1), stop + 1
  end
  local name = source:match("^[%a_][%w_]*", at)
  if name then return "name", name, at + #name end
  local two = source:match("^[=~<>]=", at) or source:match("^%.%.+", at) or source:match("^%d[%w.]*", at)
  return "other", two or c, at + #(two or c)
end

local function tokenise(source)
  local tokens, at, line, depth = {}, 1, 1, 0
  while at <= #source do
    local kind, text, after = token_at(source, at)
    if kind == "other" and CLOSES[text] then depth = depth - 1 end
    if kind then tokens[#tokens + 1] = { kind = kind, text = text, line = line, depth = depth } end
    if kind == "other" and OPENS[text] then depth = depth + 1 end
    line = line + count_lines(source:sub(at, after - 1))
    at = after
  end
  return tokens
end

local function is(token, text)
  return token and token.kind ~= "string" and token.text == text
end

-- The octets of a value up to "," ";" or "}" on its own level; returns its node and the number of the token that ended it.
local function value_at(tokens, at)
  local node = { line = tokens[at] and tokens[at].line }
  if is(tokens[at], "{") then
    node, at = M.constructor(tokens, at)
  end
  local depth = 0
  while tokens[at] do
    local token = tokens[at]
    if token.kind ~= "string" then
      if depth == 0 and (token.text == "," or token.text == ";" or token.text == "}") then break end
      if OPENS[token.text] then depth = depth + 1 end
      if CLOSES[token.text] then depth = depth - 1 end
    end
    at = at + 1
  end
  return node, at
end

-- The constructor that begins with the "{" at `at`; returns its node and the number of the token behind it.
function M.constructor(tokens, at)
  local node = { line = tokens[at].line, keys = {}, items = {} }
  at = at + 1
  while tokens[at] and not is(tokens[at], "}") do
    local key, line = nil, tokens[at].line
    if tokens[at].kind == "name" and is(tokens[at + 1], "=") then
      key, at = tokens[at].text, at + 2
    elseif is(tokens[at], "[") and tokens[at + 1] and tokens[at + 1].kind == "string" and is(tokens[at + 2], "]")
      and is(tokens[at + 3], "=") then
      key, at = tokens[at + 1].text, at + 4
    end
    local value, after = value_at(tokens, at)
    value.line = line
    if key then
      node.keys[key] = value
    else
      node.items[#node.items + 1] = value
    end
    at = after
    if is(tokens[at], ",") or is(tokens[at], ";") then at = at + 1 end
  end
  node.last = tokens[at] and tokens[at].line or node.line
  return node, at + 1
end

local function skip(tokens, at, text)
  while is(tokens[at], text) do at = at + 1 end
  return at
end

-- Where `word "name" {` and `word { list } {` stand, with or without parentheses: by word and name (a list has none).
local function index_words(tokens, words)
  local index = {}
  for at, token in ipairs(tokens) do
    if token.kind == "name" and words[token.text] then
      local behind, name = skip(tokens, at + 1, "("), ""
      local named = tokens[behind]
      if named and named.kind == "string" then
        name, behind = named.text, behind + 1
      elseif is(named, "{") then
        behind = select(2, M.constructor(tokens, behind))
      end
      while is(tokens[behind], ")") or is(tokens[behind], "(") do behind = behind + 1 end
      if is(tokens[behind], "{") and named ~= tokens[behind] then
        local key = token.text .. "\0" .. name
        index[key] = index[key] or { first = 1 }
        table.insert(index[key], { line = token.line, brace = behind })
      end
    end
  end
  return index
end

-- @words: the set of words that of_word() will be asked for.
function M.scan(source, words)
  local tokens = tokenise(source)
  return setmetatable({ tokens = tokens, index = index_words(tokens, words) }, M)
end

-- Each constructor is found once, in the order of the text: names are given once, lists of names as often as there are lists.
function M:of_word(word, name, line)
  local found = self.index[word .. "\0" .. (type(name) == "string" and name or "")]
  while found and found[found.first] do
    local candidate = found[found.first]
    if candidate.line > line then return nil end
    found.first = found.first + 1
    local node = M.constructor(self.tokens, candidate.brace)
    if node.last >= line then
      node.line = candidate.line
      return node
    end
  end
end

function M:of_assignment(name, line)
  local found
  for at, token in ipairs(self.tokens) do
    if token.line > line then break end
    if token.depth == 0 and token.kind == "name" and token.text == name and is(self.tokens[at + 1], "=") then found = at end
  end
  if not found or not self.tokens[found + 2] then return nil end
  local node = value_at(self.tokens, found + 2)
  node.line = self.tokens[found].line
  return node
end

return M
