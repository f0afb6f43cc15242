-- lua/lib/postern/config/scopes.lua - a table against a scope of schema/config.lua: unknown options, types, bounds, defaults.

local schema = require "schema.config"
local report = require "postern.config.report"
local types = require "postern.config.types"

local M = {}
M.__index = M

-- @profiles: which names there are. @root: the checked top scope, for defaults that come from there; set once it is known.
function M.new(host, problems, words, profiles)
  return setmetatable({ host = host, report = problems, words = words, profiles = profiles, root = nil, subject = "" }, M)
end

local function option_names(scope)
  local names = {}
  for i, option in ipairs(scope.options) do names[i] = option[1] end
  return names
end

local function is_default(option, value)
  if type(value) == "table" and type(option.default) == "table" then
    return next(value) == nil and next(option.default) == nil and not getmetatable(value)
  end
  return value == option.default
end

function M:from_root(path)
  local value = self.root
  for key in path:gmatch("[^.]+") do value = value and value[key] end
  return value
end

function M:default_of(option, place)
  local default = option.default
  if option.optional then return nil end
  if option[2] == "table" or option[2] == "shorthand" and default == nil then
    return self:check_scope(option.scope, {}, place, self.subject .. option[1] .. ".")
  end
  if type(default) == "table" and default.from then
    local there = self:from_root(default.from)
    if there ~= nil then return there end
    default = default.otherwise
  end
  if default == nil then return nil end
  return types[option[2]](self, option, default, place)
end

function M:check_option(option, value, place)
  if option.refuse and not is_default(option, value) then
    self.report:problem(place, "%s%s: %s", self.subject, option[1], option.refuse[1])
    return nil
  end
  return types[option[2]](self, option, value, place)
end

-- Returns the plain table, with what could be used of it.
function M:check_scope(name, values, place, subject)
  local scope, outer = schema.scopes[name], self.subject
  local known, result = {}, {}
  self.subject = subject
  for _, option in ipairs(scope.options) do
    local value = values[option[1]]
    known[option[1]] = true
    if value ~= nil then
      result[option[1]] = self:check_option(option, value, self.report:inside(place, values, option[1]))
    elseif option.required then
      self.missing = true
      self.report:problem(place, "%s%s is missing: %s", subject, option[1], option[3])
    else
      result[option[1]] = self:default_of(option, place)
    end
  end
  for key in pairs(values) do
    if not known[key] then
      local where = self.report:inside(place, values, key)
      if type(key) == "string" then
        self.report:problem(where, "%s%s is no option%s", subject, key, report.suggest(key, option_names(scope)))
      else
        self.report:problem(where, "%sa value without a name; write name = value", subject)
      end
    end
  end
  self.subject = outer
  return result
end

return M
