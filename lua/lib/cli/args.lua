-- cli/args.lua - the words behind a command: options and what they belong to.
--
-- A command is { name =, args = "ID...", doc =, options = { { "to", "ADDRESS", "doc" [, many = true] }, ... },
-- run = function(opt, rest) }; run returns the status, or nothing for 0.
-- An option without a value's name is a flag. "--name value" and "--name=value" are the same; "--" ends the options.
-- What is wrong is raised as usage(): status 2.

local args = {}

local failure = {}
failure.__index = failure
failure.__tostring = function(f) return f.text end

-- Raises what ends the program: a text for standard error, and the status.
function args.fail(...)
  error(setmetatable({ text = string.format(...), status = 1 }, failure), 0)
end

function args.usage(...)
  error(setmetatable({ text = string.format(...), status = 2 }, failure), 0)
end

function args.is_failure(e)
  return getmetatable(e) == failure
end

-- Adds "key value" to what a request of the program to itself is made of.
function args.line(lines, key, value)
  if not value then return end
  if value:find("[%z\r\n]") then args.usage("%s: a line end has no place there", key) end
  lines[#lines + 1] = key .. " " .. value
end

args.common = {
  { "json", nil, "print JSON" },
  { "control", "SOCKET", "the server's socket; without it $POSTERN_CONTROL or /run/postern/control.sock" },
  { "help", nil, "say what the command does" },
}

local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal
    diagonal, row[0] = row[0], i
    for j = 1, #b do
      local change = diagonal + (a:byte(i) == b:byte(j) and 0 or 1)
      diagonal = row[j]
      row[j] = math.min(change, row[j] + 1, row[j - 1] + 1)
    end
  end
  return row[#b]
end

-- The name that was probably meant, or nil.
function args.nearest(word, names)
  local best, least
  for _, name in ipairs(names) do
    local d = name:sub(1, #word) == word and 1 or distance(word, name)
    if d <= math.max(1, math.floor(#name / 2)) and (not least or d < least) then best, least = name, d end
  end
  return best
end

local function find(command, name)
  local names = {}
  for _, list in ipairs { command.options or {}, args.common } do
    for _, option in ipairs(list) do
      if option[1] == name then return option end
      names[#names + 1] = option[1]
    end
  end
  local meant = args.nearest(name, names)
  args.usage("no option --%s; %ssee postern %s --help", name, meant and ("did you mean --" .. meant .. "? ") or "", command.name)
end

-- @words from @first on. Returns the options by name ("older-than" as older_than) and the other words.
function args.parse(command, words, first)
  local opt, rest = {}, {}
  local at, last = first, #words
  while at <= last do
    local word = words[at]
    local name, value = word:match("^%-%-([%w-]+)=?(.*)$")
    if word == "--" then
      for i = at + 1, last do rest[#rest + 1] = words[i] end
      break
    elseif word == "-h" then
      opt.help = true
    elseif name then
      local option = find(command, name)
      local key = name:gsub("-", "_")
      if not option[2] then
        if word:find("=", 1, true) then args.usage("--%s takes no value", name) end
        value = true
      elseif not word:find("=", 1, true) then
        at = at + 1
        value = words[at]
        if not value then args.usage("--%s wants a value: %s", name, option[2]) end
      end
      if option.many then
        opt[key] = opt[key] or {}
        table.insert(opt[key], value)
      elseif opt[key] ~= nil and option[2] then
        args.usage("--%s was given twice", name)
      else
        opt[key] = value
      end
    elseif #word > 1 and word:sub(1, 1) == "-" then
      args.usage("no option %s; see postern %s --help", word, command.name)
    else
      rest[#rest + 1] = word
    end
    at = at + 1
  end
  return opt, rest
end

local function option_lines(options)
  local lines = {}
  for _, option in ipairs(options) do
    local left = "--" .. option[1] .. (option[2] and (" " .. option[2]) or "")
    lines[#lines + 1] = ("  %-24s %s"):format(left, option[3])
  end
  return lines
end

function args.help(command)
  local lines = {
    ("usage: postern %s%s%s"):format(command.name, command.args and (" " .. command.args) or "",
      command.options and #command.options > 0 and " [options]" or ""),
    "",
    command.doc,
  }
  if command.more then lines[#lines + 1] = command.more end
  lines[#lines + 1] = ""
  for _, list in ipairs { command.options or {}, command.run and args.common or {} } do
    for _, line in ipairs(option_lines(list)) do lines[#lines + 1] = line end
  end
  return table.concat(lines, "\n") .. "\n"
end

return args
