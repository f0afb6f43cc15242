-- relay/options.lua - what a policy's options are declared as, and what an operator gave.
--
--   options = { limit = { type = "rate", default = "60/hour", doc = "..." } }
--
-- type      string number integer boolean domain cidr ip address rate duration template enum table, and list<...> of any of them
-- default   its value if it is left out; written as an operator would write it
-- required  true: it may not be left out
-- values    enum: the list of words
-- min, max  number, integer, duration, and the length of strings and lists
-- doc       what it is for; `postern check` and the reference show it
--
-- A duration becomes a number of seconds, names become lower case: a policy gets what it can compare.
-- For a list a text may be given too, one entry a line, with comments after "#": a file of domains is one.

local core = require "relay.core"

local M = {}

local FIELDS = { type = true, default = true, required = true, values = true, min = true, max = true, doc = true }
local TEXT_KINDS = { domain = "domain", cidr = "cidr", ip = "ip", address = "address", rate = "rate", template = "template" }

local parse = {}

function parse.string(v)
  if type(v) ~= "string" then return nil, "must be a string" end
  return v
end

function parse.number(v)
  if type(v) ~= "number" or v ~= v then return nil, "must be a number" end
  return v
end

function parse.integer(v)
  if type(v) ~= "number" or v ~= math.floor(v) then return nil, "must be a whole number" end
  return v
end

function parse.boolean(v)
  if type(v) ~= "boolean" then return nil, "must be true or false" end
  return v
end

function parse.table(v)
  if type(v) ~= "table" then return nil, "must be a table" end
  return v
end

function parse.duration(v)
  if type(v) == "number" and v >= 0 then return v end
  if type(v) ~= "string" then return nil, "must be a duration, like \"5m\"" end
  local text, err = core.check("duration", v)
  if not text then return nil, err end
  return tonumber(text)
end

function parse.enum(v, decl)
  for _, word in ipairs(decl.values) do
    if v == word then return v end
  end
  return nil, ("must be one of: %s"):format(table.concat(decl.values, ", "))
end

for name, kind in pairs(TEXT_KINDS) do
  parse[name] = function(v)
    if type(v) ~= "string" then return nil, "must be a string" end
    return core.check(kind, v)
  end
end

local function lines(text)
  local list = {}
  for line in text:gmatch("[^\n]+") do -- not split(): a file may have more lines than that makes parts
    local comment = core.text.find(line, "#")
    line = core.text.trim(comment and line:sub(1, comment - 1) or line)
    if line ~= "" then list[#list + 1] = line end
  end
  return list
end

local function parse_list(v, decl, element)
  if type(v) == "string" then v = lines(v) end
  if type(v) ~= "table" then return nil, "must be a list" end
  local list = {}
  for i, item in ipairs(v) do
    local parsed, err = parse[element](item, decl)
    if parsed == nil then return nil, ("entry %d: %s"):format(i, err) end
    list[i] = parsed
  end
  for key in pairs(v) do
    if type(key) ~= "number" then return nil, ("is a list and has no '%s'"):format(tostring(key)) end
  end
  return list
end

local function in_bounds(v, decl)
  local size = type(v) == "number" and v or type(v) == "string" and #v or type(v) == "table" and #v
  if not size then return true end
  local what = type(v) == "number" and "it" or "its length"
  if decl.min and size < decl.min then return false, ("%s must be at least %s"):format(what, decl.min) end
  if decl.max and size > decl.max then return false, ("%s must be at most %s"):format(what, decl.max) end
  return true
end

local function element_of(kind)
  local inner = kind:match("^list<([a-z]+)>$")
  return inner and parse[inner] and inner
end

-- A value as it was written -> as the policy gets it; or nil, what is wrong.
local function value_of(v, decl)
  local parsed, err
  local element = element_of(decl.type)
  if element then
    parsed, err = parse_list(v, decl, element)
  else
    parsed, err = parse[decl.type](v, decl)
  end
  if parsed == nil then return nil, err end
  local fits, why = in_bounds(parsed, decl)
  if not fits then return nil, why end
  return parsed
end

local function check_one(name, decl)
  if type(name) ~= "string" or type(decl) ~= "table" then return "options must be a table of declarations" end
  for key in pairs(decl) do
    if not FIELDS[key] then return ("option '%s': a declaration has no field '%s'"):format(name, tostring(key)) end
  end
  if type(decl.type) ~= "string" or not (parse[decl.type] or element_of(decl.type)) then
    return ("option '%s': unknown type '%s'"):format(name, tostring(decl.type))
  end
  if type(decl.doc) ~= "string" then return ("option '%s' has no doc"):format(name) end
  if (decl.type == "enum" or decl.type == "list<enum>") and type(decl.values) ~= "table" then
    return ("option '%s': an enum needs values"):format(name)
  end
  if decl.default ~= nil then
    local _, err = value_of(decl.default, decl)
    if err then return ("option '%s': its default %s"):format(name, err) end
  end
end

-- What is wrong with a table of declarations; nil if it is one.
function M.check(declared)
  for name, decl in pairs(declared) do
    local problem = check_one(name, decl)
    if problem then return problem end
  end
end

local function copy(v)
  if type(v) ~= "table" then return v end
  local c = {}
  for key, value in pairs(v) do c[key] = copy(value) end
  return c
end

-- What an operator gave -> what the policy gets, and a list of what is wrong.
function M.resolve(declared, given)
  local opt, problems = {}, {}
  for name in pairs(given) do
    if not declared[name] then problems[#problems + 1] = ("unknown option '%s'"):format(tostring(name)) end
  end
  for name, decl in pairs(declared) do
    local v = given[name]
    if v == nil then v = copy(decl.default) end
    if v ~= nil then
      local parsed, err = value_of(v, decl)
      if parsed == nil then
        problems[#problems + 1] = ("option '%s' %s"):format(name, err)
      else
        opt[name] = parsed
      end
    elseif decl.required then
      problems[#problems + 1] = ("option '%s' is missing: %s"):format(name, decl.doc)
    end
  end
  table.sort(problems)
  return opt, problems
end

return M
