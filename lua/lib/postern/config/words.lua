-- lua/lib/postern/config/words.lua - the language of the configuration file: what its words do while it is evaluated.
--
-- Words only take down what was said and where; it is checked when all of it is known (config.lua). The file's own globals are the
-- options; reading or writing another one is a problem.

local schema = require "schema.config"
local report = require "postern.config.report"
local places = require "postern.config.places"
local times = require "postern.config.times"
local name_of = report.name_of

local M = {}
M.__index = M

local function here(self)
  local file, line = self.host.where(2)
  return { file = file, line = line or 1 }
end

local DECLARATIONS = { listener = true, route = true, profile = true }

-- ---- listener, route, profile ----------------------------------------------------------------------------------------

-- `word "name" { ... }`: the second call completes it.
local function declaration(self, word, name_is_ok, wanted)
  return function(name)
    local place = here(self)
    if not name_is_ok(name) then
      self.report:problem(place, "%s %s: %s", word, name_of(name), wanted)
      return function() end
    end
    local item = { word = word, name = name, place = place }
    self.pending[item] = true
    return function(body)
      place = here(self)
      self.pending[item] = nil
      if type(body) ~= "table" or getmetatable(body) then
        self.report:problem(place, "%s %s: %s is no table; write { ... }", word, name_of(name), name_of(body))
        return
      end
      local node = self.places:of_word(word, name, place.line)
      item.place = { file = place.file, line = node and node.line or place.line, node = node }
      item.body = body
      table.insert(self.declared[word], item)
    end
  end
end

local function is_name(name)
  return type(name) == "string" and #name <= 64 and name:match("^[%w][%w._-]*$") ~= nil
end

local function is_pattern(name)
  return type(name) == "string" or (type(name) == "table" and not getmetatable(name))
end

-- ---- use --------------------------------------------------------------------------------------------------------------

-- Is @value plain: what a policy may get as options? Says why not.
local function why_not_plain(value, depth, open)
  local kind = type(value)
  if kind == "boolean" or kind == "string" then return nil end
  if kind == "number" and value == value and math.abs(value) < math.huge then return nil end
  if kind ~= "table" or getmetatable(value) then return name_of(value) .. " cannot be an option of a policy" end
  if open[value] then return "a table that holds itself cannot be an option of a policy" end
  if depth > 16 then return "tables in tables, more than 16 deep" end
  open[value] = true
  local named
  for key, inner in pairs(value) do
    if type(key) == "string" then
      if key:sub(1, 1) == "_" then return ("the name %s begins with an underscore"):format(key) end
      named = true
    elseif type(key) ~= "number" or key % 1 ~= 0 or key < 1 or key > #value then
      return ("the key %s is neither a name nor a place in a list"):format(name_of(key))
    end
    local why = why_not_plain(inner, depth + 1, open)
    if why then return why end
  end
  open[value] = nil
  if named and #value > 0 then return "a table is a list or has names, not both" end
end

local function is_policy_name(name)
  return type(name) == "string" and #name <= 100 and name:match("^[a-z0-9_/-]+$") ~= nil and not name:match("^/")
    and not name:match("/$") and not name:find("//", 1, true)
end

local function new_use(self, fields)
  return setmetatable(fields, self.use_type)
end

local function copy_use(self, use, changes)
  local fields = {}
  for key, value in pairs(use) do fields[key] = value end
  for key, value in pairs(changes) do fields[key] = value end
  return new_use(self, fields)
end

local function set_options(self, use, options)
  local place = here(self)
  local why
  if use.options then
    why = "has its options already"
  elseif type(options) ~= "table" or getmetatable(options) then
    why = name_of(options) .. " is no table of options"
  else
    why = why_not_plain(options, 0, {})
  end
  if why then
    self.report:problem(place, "use %q: %s", use.name, why)
    options = {}
  end
  return copy_use(self, use, { options = options, place = place })
end

local CANARY_OPTIONS = { "share", "networks", "ends" }

local function canary_changes(self, use, how, place)
  local good = true
  local function wrong(...)
    self.report:problem(place, "use %q: canary: %s", use.name, string.format(...))
    good = false
  end
  if type(how) ~= "table" or getmetatable(how) then return wrong("%s is no table; write { share = 5 }", name_of(how)) end
  local known = { share = true, networks = true, ends = true }
  for key in pairs(how) do
    if not known[key] then wrong("%s is no option%s", tostring(key), report.suggest(tostring(key), CANARY_OPTIONS)) end
  end
  local changes = { mode = "canary", share = how.share }
  if how.share == nil and how.networks == nil then wrong("for whom? give share (percent of the clients) or networks") end
  if how.share ~= nil and (type(how.share) ~= "number" or how.share <= 0 or how.share > 100) then
    wrong("share %s is not between 0 and 100 percent", name_of(how.share))
  end
  if how.networks ~= nil then
    changes.networks = {}
    for _, network in ipairs(type(how.networks) == "table" and how.networks or { how.networks }) do
      local text = type(network) == "string" and self.host.check("cidr", network)
      if not text then wrong("%s is no network", name_of(network)) end
      table.insert(changes.networks, text or nil)
    end
  end
  if how.ends ~= nil then
    changes.until_at = times.parse(how.ends)
    if not changes.until_at then
      wrong("ends %s is no time; write \"2026-12-01\" or \"2026-12-01T08:00:00Z\"", name_of(how.ends))
    end
  end
  if good then return changes end
end

local function use_methods(self)
  local methods = {}
  local function moded(use)
    if use.mode then self.report:problem(here(self), "use %q: is to %s already", use.name, use.mode) end
  end
  function methods.observe(use)
    moded(use)
    return copy_use(self, use, { mode = "observe" })
  end
  function methods.canary(use, how)
    moded(use)
    return copy_use(self, use, canary_changes(self, use, how, here(self)) or { mode = "observe" })
  end
  return methods
end

-- The table that policy/ gets; the same for the same use. Nil: a problem was said already.
function M:plain_use(use)
  if use.invalid then return nil end
  self.plain[use] = self.plain[use] or {
    name = use.name, options = use.options or {}, mode = use.mode or "enforce", share = use.share, networks = use.networks,
    until_at = use.until_at, _file = use.place.file, _line = use.place.line,
  }
  return self.plain[use]
end

-- ---- values from elsewhere --------------------------------------------------------------------------------------------

local function file_word(self, path)
  local place = here(self)
  if type(path) ~= "string" or path == "" then
    self.report:problem(place, "file: %s is no path", name_of(path))
    return {}
  end
  local text, why = self.host.read(path)
  if not text then
    self.report:problem(place, "file %q: %s", path, why or "cannot be read")
    return {}
  end
  local list, lines, n, line_no = {}, {}, 0, 0
  for line in text:gmatch("([^\n]*)\n?") do
    line_no = line_no + 1
    if not line:find("^[^%s#]+$") then line = line:gsub("^#.*", ""):gsub("%s#.*", ""):match("^%s*(.-)%s*$") end
    if line ~= "" then
      n = n + 1
      list[n], lines[n] = line, line_no
    end
  end
  self.report:set_origin(list, path:sub(1, 1) == "/" and path or self.host.dir:gsub("/+$", "") .. "/" .. path, lines)
  return list
end

local function env_word(self, name, otherwise)
  local value = type(name) == "string" and self.host.env(name) or otherwise
  if type(value) == "string" then return value end
  self.report:problem(here(self), "env %s: is not set; env(\"NAME\", \"otherwise\") gives a value for that case", name_of(name))
  return ""
end

-- A value that says nothing: where it is found is known when the whole file was read, for secrets_dir may come behind it.
local function secret_word(self, name)
  local place = here(self)
  local good = is_name(name)
  if not good then self.report:problem(place, "secret: %s is no name of letters, digits, and ._-", name_of(name)) end
  local value = setmetatable({}, { word = "secret", __tostring = function() return "a secret" end,
    __metatable = { word = "secret" } })
  if good then self.secrets[value] = { name = name, place = place } end
  return value
end

local function find_secret(self, secret)
  local variable = "POSTERN_SECRET_" .. secret.name:upper():gsub("[^%w]", "_")
  if self.host.env(variable) then
    secret.variable = variable
    return
  end
  local looked = {}
  local own = self.values.secrets_dir
  local dirs = { self.host.env("CREDENTIALS_DIRECTORY") or "", type(own) == "string" and own or "secrets" }
  for i = 1, 2 do
    local path = dirs[i] ~= "" and dirs[i]:gsub("/+$", "") .. "/" .. secret.name
    if path then
      looked[#looked + 1] = path
      if self.host.exists(path) then
        secret.path = path:sub(1, 1) == "/" and path or self.host.dir:gsub("/+$", "") .. "/" .. path
        return
      end
    end
  end
  self.report:problem(secret.place, "secret %q: there is neither the environment variable %s nor the file %s", secret.name,
    variable, table.concat(looked, " or "))
end

-- ---- the environment of the file --------------------------------------------------------------------------------------

local function option_table()
  local options, names = {}, {}
  for _, option in ipairs(schema.scopes.top.options) do
    options[option[1]] = option
    names[#names + 1] = option[1]
  end
  return options, names
end

local function word_table(self)
  local words = {}
  local is_wanted = "a name of letters, digits and ._- comes first: %s \"name\" { ... }"
  words.listener = declaration(self, "listener", is_name, is_wanted:format("listener"))
  words.profile = declaration(self, "profile", is_name, is_wanted:format("profile"))
  words.route = declaration(self, "route", is_pattern, "domains come first: route \"example.org\" { ... }")
  words.use = function(name)
    local place = here(self)
    if not is_policy_name(name) then
      self.report:problem(place, "use: %s is no name of a policy (a-z 0-9 _ - /)", name_of(name))
      return new_use(self, { name = "?", invalid = true, place = place })
    end
    return new_use(self, { name = name, place = place })
  end
  words.file = function(path) return file_word(self, path) end
  words.env = function(name, otherwise) return env_word(self, name, otherwise) end
  words.secret = function(name) return secret_word(self, name) end
  words.redis = function() return setmetatable({}, { word = "redis" }) end
  return words
end

-- The globals of the file.
function M:environment()
  local words, sandbox = word_table(self), self.host.sandbox()
  local options, option_names = option_table()
  local known = {}
  for name in pairs(words) do known[#known + 1] = name end
  for _, name in ipairs(option_names) do known[#known + 1] = name end
  table.sort(known)
  local own = {} -- globals that are no options, so that what follows does not fail too
  return setmetatable({}, {
    __metatable = "locked",
    __index = function(_, name)
      local value = words[name]
      if value == nil then value = sandbox[name] end
      if value == nil then value = self.values[name] end
      if value == nil then value = own[name] end
      if value == nil and not options[name] then
        self.report:problem(here(self), "%s is not defined%s", tostring(name), report.suggest(tostring(name), known))
      end
      return value
    end,
    __newindex = function(_, name, value)
      local place = here(self)
      if words[name] or sandbox[name] ~= nil then
        self.report:problem(place, "%s is a word of the language and cannot be set", tostring(name))
      elseif not options[name] then
        local meant = report.suggest(tostring(name), option_names)
        self.report:problem(place, "%s is no option%s", tostring(name),
          meant ~= "" and meant or ("; a name of your own begins with local: local %s = ..."):format(tostring(name)))
        own[name] = value
      elseif self.values[name] ~= nil then
        self.report:problem(place, "%s is set twice, first in line %d", name, self.set_at[name].line)
      elseif value ~= nil then
        local node = self.places:of_assignment(name, place.line)
        self.values[name] = value
        self.set_at[name] = { file = place.file, line = node and node.line or place.line, node = node }
      end
    end,
  })
end

function M.new(host, problems, source)
  local self = setmetatable({
    host = host, report = problems, places = places.scan(source, DECLARATIONS),
    values = {}, set_at = {}, declared = { listener = {}, route = {}, profile = {} }, pending = {}, plain = {}, secrets = {},
  }, M)
  local methods = use_methods(self)
  self.use_type = {
    word = "use",
    __index = function(_, key) return methods[key] end,
    __call = function(use, options) return set_options(self, use, options) end,
  }
  return self
end

-- Where each secret is; what is in no place is a problem.
function M:find_secrets()
  local list = {}
  for _, secret in pairs(self.secrets) do list[#list + 1] = secret end
  for _, secret in ipairs(list) do find_secret(self, secret) end
end

-- { name =, path = or variable = } of what `secret` returned; nil: it is something else, or a problem was said.
function M:found_secret(value)
  local secret = type(value) == "table" and self.secrets[value]
  return secret and (secret.path or secret.variable) and secret or nil
end

-- `listener "x"` that nothing came behind.
function M:report_pending()
  for item in pairs(self.pending) do
    self.report:problem(item.place, "%s %s: has no { ... } behind it", item.word, name_of(item.name))
  end
end

return M
