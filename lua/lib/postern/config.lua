-- lua/lib/postern/config.lua - from the text of a configuration file to a table of plain values that schema/config.lua allows.
--
--   1. the file is evaluated; its words (config/words.lua) take down what it says and where
--   2. the top options, then profiles, routes, listeners are checked and get their defaults (config/scopes.lua, types.lua)
--   3. what depends on several of them is checked here
--
-- All problems are found at once, each with its line. If the file itself ends with an error, what was said until then is checked
-- too, but nothing is called missing. server/policy/README.md has the contract.
--
-- The result, besides the options of the top scope under their names:
--   listeners = { { name =, <options of scope listener>, policies =, relays_for = { networks } } }   in the order of the file
--   profiles  = { { name =, <options of scope profile> } }
--   routes    = { { name =, patterns = { "example.org", ".example.net", "*" }, <options of scope route> } }, one of them with "*"
--   restart   = { { option = "queue.dest_idle" } }                       what a running server cannot change

local schema = require "schema.config"
local report = require "postern.config.report"
local scopes = require "postern.config.scopes"
local security = require "postern.config.security"
local words = require "postern.config.words"

local LISTENERS_MAX, PROFILES_MAX, ROUTES_MAX, PATTERNS_MAX = 64, 64, 10000, 100000

local M = {}

local function subject_of(item, name)
  return ("%s %q: "):format(item.word, name or item.name)
end

-- Says whether the file was evaluated to its end.
local function evaluate(source, filename, host, problems, said)
  local function raised(message)
    local file, line, text = tostring(message):match("^(.-):(%d+): (.*)$")
    local place = { file = file or filename, line = tonumber(line) or 1 }
    -- What is undefined was said already; that it cannot be called or indexed says nothing new.
    if not (file and problems:has_problem_at(place.line)) then
      problems:problem(place, "%s", ((text or tostring(message)):gsub("\n.*", "")))
    end
    return false
  end
  local chunk, why = host.compile(source, filename, said:environment())
  if not chunk then return raised(why) end
  local ok, message = host.call(chunk)
  if not ok then return raised(message) end
  said:report_pending()
  return true
end

local function unique(problems, items, max)
  local first, kept = {}, {}
  for _, item in ipairs(items) do
    if first[item.name] then
      problems:problem(item.place, "%sis there twice, first in line %d", subject_of(item), first[item.name].place.line)
    else
      first[item.name] = item
      kept[#kept + 1] = item
    end
  end
  if #kept > max then problems:problem(kept[max + 1].place, "more than %d of %s", max, kept[1].word) end
  return kept, first
end

local function with_place(plain, item)
  plain._file, plain._line = item.place.file, item.place.line
  return plain
end

local function check_profiles(problems, checker, items)
  local list = {}
  for _, item in ipairs(unique(problems, items, PROFILES_MAX)) do
    local plain = checker:check_scope("profile", item.body, item.place, subject_of(item))
    plain.name = item.name
    list[#list + 1] = with_place(plain, item)
  end
  return list
end

-- ---- routes -----------------------------------------------------------------------------------------------------------

local function check_pattern(host, problems, place, subject, pattern)
  if pattern == "*" then return pattern end
  if type(pattern) ~= "string" then
    problems:problem(place, "%s%s is no domain", subject, report.name_of(pattern))
    return nil
  end
  local dot, rest = pattern:match("^(%.?)(.*)$")
  local name = rest:sub(1, 1) ~= "." and host.check("domain", rest)
  if name then return dot .. name end
  problems:problem(place, "%s%q is no domain; write \"example.org\", \".example.org\" for all below it, or \"*\" for all else",
    subject, pattern)
end

-- The domains of a route as they were written: one, or a list.
local function patterns_of(item)
  return type(item.name) == "table" and item.name or { item.name }
end

-- A list may come from a file and have its lines.
local function check_patterns(host, problems, item, subject, owner)
  local plain = {}
  for i, pattern in ipairs(patterns_of(item)) do
    local place = problems:inside({ file = item.place.file, line = item.place.line }, item.name, i)
    local domain = check_pattern(host, problems, place, subject, pattern)
    if domain and owner[domain] then
      problems:problem(place, "%s%q has a route already, in line %d", subject, domain, owner[domain].place.line)
    elseif domain then
      owner[domain] = item
      plain[#plain + 1] = domain
    end
  end
  return plain
end

local function check_source(problems, item, plain, subject)
  local seen = {}
  for _, address in ipairs(plain.source or {}) do
    local family = address:find(":", 1, true) and "IPv6" or "IPv4"
    if seen[family] then
      problems:problem(problems:inside(item.place, item.body, "source"),
        "%ssource: two addresses of %s; one of each family at most", subject, family)
    end
    seen[family] = true
  end
end

local function check_routes(host, problems, checker, items)
  local list, owner, by_name = {}, {}, {}
  for _, item in ipairs(items) do
    local first = patterns_of(item)[1]
    local subject = ("route %s: "):format(report.name_of(first or item.body.name))
    local plain = checker:check_scope("route", item.body, item.place, subject)
    plain.patterns = check_patterns(host, problems, item, subject, owner)
    plain.name = plain.name or plain.patterns[1] or first
    check_source(problems, item, plain, subject)
    if not plain.name then
      problems:problem(item.place, "a route without a domain wants a name, by which policies choose it")
    elseif by_name[plain.name] and (item.body.name or #plain.patterns > 0) then
      problems:problem(item.place, "%sthe name %q is taken, by the route in line %d", subject, plain.name,
        by_name[plain.name].place.line)
    else
      by_name[plain.name] = item
      list[#list + 1] = with_place(plain, item)
    end
  end
  if not owner["*"] then
    local plain = checker:check_scope("route", {}, { line = 1 }, "")
    plain.patterns, plain.name = { "*" }, by_name["*"] and "* (default)" or "*"
    list[#list + 1] = plain
  end
  local patterns = 0
  for _ in pairs(owner) do patterns = patterns + 1 end
  if #list > ROUTES_MAX or patterns > PATTERNS_MAX then
    problems:problem({ line = 1 }, "more than %d routes or %d domains in them", ROUTES_MAX, PATTERNS_MAX)
  end
  return list
end

-- ---- listeners --------------------------------------------------------------------------------------------------------

-- One socket binds an address: the same twice fails, and so does a second one on all addresses of the port.
local function check_bind(problems, item, plain, owner)
  for i, endpoint in ipairs(plain.bind or {}) do
    if owner[endpoint] and not endpoint:match(":0$") then
      local place = problems:inside(item.place, item.body, "bind")
      if type(item.body.bind) == "table" then place = problems:inside(place, item.body.bind, i) end
      problems:problem(place, "%sbind: %s is taken by listener %q", subject_of(item), endpoint, owner[endpoint].name)
    else
      owner[endpoint] = item
    end
  end
end

-- As options of policies are read: a list, or lines of a text. What is no network the policy will say.
local function networks_of(host, value)
  local list = {}
  for _, item in ipairs(type(value) == "table" and value or { value }) do
    for line in tostring(item):gmatch("[^\n]+") do
      list[#list + 1] = host.check("cidr", (line:gsub("#.*", ""):match("^%s*(.-)%s*$")))
    end
  end
  return list
end

-- Networks that the listener's policies relay for, for the check that they are not the Internet (server/main/config_listener.c).
local function relays_for(host, plain)
  if plain.auth_required and #(plain.auth or {}) > 0 or plain.relay_for_everyone then return nil end
  local list = {}
  for _, use in ipairs(plain.policies or {}) do
    local networks = schema.relays[use.name] and use.options[schema.relays[use.name]]
    if networks ~= nil and use.mode ~= "observe" then
      list[#list + 1] = { networks = networks_of(host, networks), _file = use._file, _line = use._line }
    end
  end
  return list
end

local function check_listeners(host, problems, checker, items, complete)
  local list, bound = {}, {}
  for _, item in ipairs(unique(problems, items, LISTENERS_MAX)) do
    local plain = checker:check_scope("listener", item.body, item.place, subject_of(item))
    plain.name = item.name
    check_bind(problems, item, plain, bound)
    security.check_listener(checker, item, plain, subject_of(item))
    plain.relays_for = relays_for(host, plain)
    if plain.policies and #plain.policies == 0 and item.body.policies == nil then
      problems:warning(item.place, "%sno policies: every recipient is refused", subject_of(item))
    end
    list[#list + 1] = with_place(plain, item)
  end
  if #items == 0 and complete then
    problems:problem({ line = 1 }, "no listener: nothing would be taken; write listener \"relay\" { ... }")
  end
  return list
end

-- ---- all --------------------------------------------------------------------------------------------------------------

local function check_top(problems, checker, said, complete)
  local place = { line = 1, node = { line = 1, keys = {} } }
  for name, set_at in pairs(said.set_at) do
    place.node.keys[name] = set_at.node or { line = set_at.line }
    place.node.keys[name].line = set_at.line
  end
  local values = said.values
  if not complete and values.hostname == nil then
    values = setmetatable({ hostname = "localhost" }, { __index = values })
  end
  local top = checker:check_scope("top", values, place, "")
  security.check_top(checker, top, values, place)
  if top.spool and top.spool.free_alarm and top.spool.free_min and top.spool.free_alarm < top.spool.free_min then
    problems:warning(problems:inside(place, values, "spool"),
      "spool.free_alarm is less than spool.free_min: no alarm comes in time")
  end
  return top
end

local function restart_options(said)
  local list = {}
  for _, option in ipairs(schema.scopes.top.options) do
    local at = said.set_at[option[1]] or {}
    if option.restart then list[#list + 1] = { option = option[1], _file = at.file, _line = at.line } end
    for _, inner in ipairs(option[2] == "table" and schema.scopes[option.scope].options or {}) do
      if inner.restart then list[#list + 1] = { option = option[1] .. "." .. inner[1], _file = at.file, _line = at.line } end
    end
  end
  return list
end

function M.load(source, filename, host)
  local problems = report.new(filename)
  local said = words.new(host, problems, source)
  local complete = evaluate(source, filename, host, problems, said)
  said:find_secrets()
  local profile_names = {}
  for _, item in ipairs(said.declared.profile) do profile_names[item.name] = true end
  local checker = scopes.new(host, problems, said, profile_names)
  local config = check_top(problems, checker, said, complete)
  checker.root = config
  config.restart = restart_options(said)
  config.profiles = check_profiles(problems, checker, said.declared.profile)
  config.routes = check_routes(host, problems, checker, said.declared.route)
  config.listeners = check_listeners(host, problems, checker, said.declared.listener, complete)
  return config, problems:sorted()
end

return M
