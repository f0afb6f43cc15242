-- relay/policy.lua - relay.policy { ... }, and how a policy becomes the functions that a hook calls.

local core = require "relay.core"
local options = require "relay.options"
local sandbox = require "relay.sandbox"
local schema = require "schema.hooks"

local M = {}

local API = 1
local FIELDS = { name = "string", api = "number", doc = "string", options = "table", setup = "function" }

local is_policy = setmetatable({}, { __mode = "k" })

local known = {}
for _, hook in ipairs(schema.hooks) do known[hook.name] = hook.since end
for _, observer in ipairs(schema.observers) do known[observer.name] = observer.since end

local loading -- the file whose chunk runs

-- "return relay.policy { ... }" is a tail call: by now nobody knows its line.
local function refuse(...)
  error(("%s: relay.policy: %s"):format(loading or "?", (...):format(select(2, ...))), 0)
end

-- What a policy file returns.
function M.policy(def)
  if type(def) ~= "table" then refuse("it wants a table") end
  for key, value in pairs(def) do
    local wanted = FIELDS[key]
    if not wanted then refuse("it has no field '%s'", tostring(key)) end
    if type(value) ~= wanted then refuse("'%s' must be a %s", key, wanted) end
  end
  if not def.name or not def.name:match("^[a-z0-9_-]+$") then refuse("'name' is made of a-z, 0-9, _ and -") end
  if not def.api then refuse("'api' is missing; this is version %d", API) end
  if def.api ~= math.floor(def.api) or def.api < 1 or def.api > API then
    refuse("api %s; this server has version %d", tostring(def.api), API)
  end
  if not def.setup then refuse("'setup' is missing: function(opt) return { <hook> = function ... } end") end
  local problem = options.check(def.options or {})
  if problem then refuse("%s", problem) end
  is_policy[def] = true
  return def
end

-- ---- loading ---------------------------------------------------------------------------------------------------------

local exported = {} -- module name -> what policies get for it; relay/init.lua fills it
local libraries = {}
local definitions = {}

function M.export(name, module)
  exported[name] = module
end

local environment

local function require_for_policies(name)
  if type(name) ~= "string" then error("require wants a name", 2) end
  if exported[name] then return exported[name] end
  if core.text.prefix(name, "relay.") then error(("there is no module '%s'"):format(name), 2) end
  if libraries[name] == nil then
    if not core.is_loading() then error("require is only possible while a policy is loaded", 2) end
    local chunk = core.compile("lib", name, environment())
    libraries[name] = false -- a circle of requires ends here
    libraries[name] = chunk(name) or true
  elseif libraries[name] == false then
    error(("'%s' requires itself"):format(name), 2)
  end
  return libraries[name]
end

function environment()
  return sandbox.environment { require = require_for_policies }
end

local function definition(name)
  if not definitions[name] then
    local chunk, file = core.compile("policy", name, environment())
    loading = file
    local def = chunk(name)
    if type(def) ~= "table" or not is_policy[def] then
      error(file .. ": a policy file ends with: return relay.policy { ... }", 0)
    end
    definitions[name] = def
  end
  return definitions[name]
end

-- The policy `name` with these options -> its name and its functions by hook; or nil and a list of problems. What goes wrong in the
-- policy's own code is raised.
function M.instantiate(name, given)
  local def = definition(name)
  local opt, problems = options.resolve(def.options or {}, given)
  if #problems > 0 then return nil, problems end
  local on = def.setup(opt)
  if type(on) ~= "table" then return nil, { "setup() must return a table of hooks" } end
  local functions, any = {}, false
  for hook, f in pairs(on) do
    if not known[hook] then
      problems[#problems + 1] = ("there is no hook '%s'"):format(tostring(hook))
    elseif known[hook] > def.api then
      problems[#problems + 1] = ("hook '%s' needs api = %d"):format(hook, known[hook])
    elseif type(f) ~= "function" then
      problems[#problems + 1] = ("hook '%s' must be a function"):format(hook)
    else
      functions[hook] = f
      any = true
    end
  end
  if #problems > 0 then return nil, problems end
  if not any then return nil, { "setup() returned no hook" } end
  return def.name, functions
end

-- What is declared, for reference and completion: { name =, doc =, options = }.
function M.describe(name)
  local def = definition(name)
  return { name = def.name, api = def.api, doc = def.doc, options = def.options or {} }
end

return M
