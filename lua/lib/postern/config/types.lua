-- lua/lib/postern/config/types.lua - the types of options: each checks a value and returns its plain form, or nil after saying what
-- is wrong with it.
--
-- T.<type>(c, option, value, place): c is the checker of config/scopes.lua; option is one of schema/config.lua.
-- Plain forms are those that server/main/ reads: octets and microseconds as numbers, addresses and rates as canonical text.

local report = require "postern.config.report"
local times = require "postern.config.times"
local name_of = report.name_of

local T = {}

local SIZE_UNITS = { [""] = 1, B = 1 }
for i, letter in ipairs { "K", "M", "G", "T" } do
  SIZE_UNITS[letter .. "B"] = 1000 ^ i
  SIZE_UNITS[letter .. "iB"] = 1024 ^ i
end

local function fail(c, place, option, ...)
  c.report:problem(place, "%s%s: %s", c.subject or "", option[1], string.format(...))
  return nil
end

local function size_octets(value)
  if type(value) == "number" then return value >= 0 and value % 1 == 0 and value or nil end
  local digits, unit = tostring(value):match("^(%d+)%s*(%a*)$")
  if not digits or #digits > 15 or not SIZE_UNITS[unit] then return nil end
  return tonumber(digits) * SIZE_UNITS[unit]
end

local function duration_us(c, value)
  local seconds = type(value) == "string" and c.host.check("duration", value)
  return seconds and math.floor(tonumber(seconds) * 1e6 + 0.5)
end

local function within(c, option, value, number, place, parse)
  local min, max = option.min and parse(option.min), option.max and parse(option.max)
  if min and number < min or max and number > max then
    if min and max then return fail(c, place, option, "%s is not between %s and %s", value, option.min, option.max) end
    return fail(c, place, option, "%s is %s %s", value, min and "less than" or "more than", min and option.min or option.max)
  end
  return number
end

local function itself(v) return v end

-- ---- one value -------------------------------------------------------------------------------------------------------

function T.string(c, option, value, place)
  if type(value) ~= "string" then return fail(c, place, option, "%s is no text", name_of(value)) end
  if value:find("%c") then return fail(c, place, option, "%s has a control character", name_of(value)) end
  if #value < (option.min or 0) then return fail(c, place, option, "is empty") end
  if #value > (option.max or 1000) then return fail(c, place, option, "has %d octets; at most %d", #value, option.max or 1000) end
  return value
end

function T.boolean(c, option, value, place)
  if type(value) ~= "boolean" then return fail(c, place, option, "%s is neither true nor false", name_of(value)) end
  return value
end

function T.integer(c, option, value, place)
  if type(value) ~= "number" or value % 1 ~= 0 then return fail(c, place, option, "%s is no whole number", name_of(value)) end
  return within(c, option, value, value, place, itself)
end

function T.size(c, option, value, place)
  local octets = size_octets(value)
  if not octets then return fail(c, place, option, "%s is no size; write 25MB, 512KiB or a number of octets", name_of(value)) end
  return within(c, option, value, octets, place, size_octets)
end

function T.duration(c, option, value, place)
  local us = duration_us(c, value)
  if not us then
    return fail(c, place, option, "%s is no length of time; write \"90s\", \"5m\", \"1h30m\" or \"5d\"", name_of(value))
  end
  return within(c, option, value, us, place, function(v) return duration_us(c, v) end)
end

-- The types that host.check knows.
local function checked(kind, what)
  return function(c, option, value, place)
    if type(value) ~= "string" then return fail(c, place, option, "%s is no %s", name_of(value), what) end
    return c.host.check(kind, value) or fail(c, place, option, "%s is no %s", name_of(value), what)
  end
end

local domain = checked("domain", "domain name")
function T.domain(c, option, value, place)
  -- ".example.org" is one where policies ask: all names below it.
  if type(value) == "string" and value:sub(1, 1) == "." then
    return fail(c, place, option, "%s is no domain name", name_of(value))
  end
  return domain(c, option, value, place)
end
T.rate = checked("rate", "rate such as \"60/hour\"")
T.mailbox = checked("address", "mail address")
local one_address = checked("ip", "address")
local one_network = checked("cidr", "network such as \"192.0.2.0/24\"")

local function one_endpoint(c, option, value, place)
  local text = type(value) == "string" and c.host.check("endpoint", value)
  if text then return text end
  return fail(c, place, option, "%s is no address with a port, such as \"192.0.2.1:25\" or \"[::]:25\"", name_of(value))
end

local function one_server(c, option, value, place)
  local ip = type(value) == "string" and c.host.check("ip", value)
  if ip then return ip:find(":", 1, true) and ("[%s]:53"):format(ip) or ip .. ":53" end
  return one_endpoint(c, option, value, place)
end

function T.url(c, option, value, place)
  if type(value) ~= "string" or not value:match("^https?://[^%s%c\"<>]+$") or #value > 300 then
    return fail(c, place, option, "%s is no http:// or https:// address of at most 300 octets", name_of(value))
  end
  return value
end

function T.path(c, option, value, place)
  if option.off and value == "off" then return "" end
  if type(value) ~= "string" or value == "" or value:find("%c") then
    return fail(c, place, option, "%s is no path", name_of(value))
  end
  if value:sub(1, 1) ~= "/" then value = c.host.dir:gsub("/+$", "") .. "/" .. value end
  return value
end

local function one_word(c, option, value, place)
  for _, word in ipairs(option.words) do
    if value == word then return word end
  end
  return fail(c, place, option, "%s is none of %s%s", name_of(value), table.concat(option.words, ", "),
    type(value) == "string" and report.suggest(value, option.words) or "")
end
T.enum = one_word

-- Defined later than it is used is fine: config/scopes.lua looks it up when all is read.
function T.profile(c, option, value, place)
  if type(value) ~= "string" then return fail(c, place, option, "%s is no name of a profile", name_of(value)) end
  if c.profiles[value] then return value end
  local names = {}
  for name in pairs(c.profiles) do names[#names + 1] = name end
  table.sort(names)
  return fail(c, place, option, "there is no profile %q%s", value, report.suggest(value, names))
end

function T.table(c, option, value, place)
  if type(value) ~= "table" or getmetatable(value) then
    return fail(c, place, option, "%s is no table; write %s = { ... }", name_of(value), option[1])
  end
  local plain = c:check_scope(option.scope, value, place, (c.subject or "") .. option[1] .. ".")
  plain._file, plain._line = place.file, place.line
  return plain
end

-- One word, or a table of the scope in which it is option.word: tls = "verify", tls = { level = "verify", ca = "ca.pem" }.
function T.shorthand(c, option, value, place)
  if type(value) == "string" then value = { [option.word] = value } end
  if type(value) ~= "table" or getmetatable(value) then
    return fail(c, place, option, "%s is neither a word nor a table", name_of(value))
  end
  return c:check_scope(option.scope, value, place, (c.subject or "") .. option[1] .. ".")
end

function T.time(c, option, value, place)
  return times.parse(value)
    or fail(c, place, option, "%s is no time; write \"2026-12-01\" or \"2026-12-01T08:00:00Z\"", name_of(value))
end

-- Tables by name; sorted, as { name =, ... } each.
function T.named_tables(c, option, value, place)
  if type(value) ~= "table" or getmetatable(value) then
    return fail(c, place, option, "%s is no table; write %s = { [\"name\"] = { ... } }", name_of(value), option[1])
  end
  local list, seen, one = {}, {}, { option[1], option[2], option[3], scope = option.scope }
  for key, item in pairs(value) do
    local where = c.report:inside(place, value, key)
    local name = T[option.key](c, one, key, where)
    if name and seen[name] then fail(c, where, option, "%q is there twice", name) end
    if name and not seen[name] and type(item) == "table" and not getmetatable(item) then
      seen[name] = true
      local plain = c:check_scope(option.scope, item, where, ("%s%s[%q]."):format(c.subject or "", option[1], name))
      plain.name, plain._file, plain._line = name, where.file, where.line
      list[#list + 1] = plain
    elseif name and not seen[name] then
      fail(c, where, option, "%s of %q is no table; write { ... }", name_of(item), name)
    end
  end
  if option.max and #list > option.max then return fail(c, place, option, "has %d; at most %d", #list, option.max) end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

-- { name =, path = or variable = }: only where it is; C reads it.
function T.secret(c, option, value, place)
  local found = c.words:found_secret(value)
  if found then
    return { name = found.name, path = found.path, variable = found.variable, _file = place.file, _line = place.line }
  end
  if type(value) == "table" and getmetatable(value) and getmetatable(value).word == "secret" then return nil end -- said already
  -- The value may be one all the same: it is not repeated.
  return fail(c, place, option, "is to be secret \"name\", which stands for a file or an environment variable")
end

-- ---- lists -----------------------------------------------------------------------------------------------------------

local function as_list(value)
  if type(value) == "table" and not getmetatable(value) and not value.host then return value end
  return { value }
end

local function check_list(c, option, value, place, one)
  local list, result, good = as_list(value), {}, true
  for key in pairs(list) do
    if type(key) ~= "number" or key % 1 ~= 0 or key < 1 or key > #list then
      return fail(c, place, option, "is to be a list; %s is a name in it or it has a gap", name_of(key))
    end
  end
  for i, item in ipairs(list) do
    local where = value == list and c.report:inside(place, list, i) or place
    local plain = one(c, option, item, where)
    good = good and plain ~= nil
    result[#result + 1] = plain
  end
  if not good then return nil end
  local n = #result
  if n < (option.min or 0) then return fail(c, place, option, "is empty") end
  if option.max and n > option.max then return fail(c, place, option, "has %d; at most %d", n, option.max) end
  return result
end

-- As check_list; nothing may be there twice.
local function set_of(one)
  return function(c, option, value, place)
    local seen = {}
    return check_list(c, option, value, place, function(_, _, item, where)
      local plain = one(c, option, item, where)
      if plain and seen[plain] and not plain:match(":0$") then
        return fail(c, where, option, "%s is there twice", name_of(plain))
      end
      if plain then seen[plain] = true end
      return plain
    end)
  end
end

T.endpoints = set_of(one_endpoint)
T.servers = set_of(one_server)
T.addresses = set_of(one_address)
T.networks = set_of(one_network)
T.domains = set_of(T.domain)
-- Names of certificates: ".example.org" is any one label below it.
T.names = set_of(function(c, option, value, place)
  local dot, rest = tostring(value):match("^(%.?)(.*)$")
  local name = type(value) == "string" and (c.host.check("domain", rest) or dot == "" and c.host.check("ip", rest))
  return name and dot .. name or fail(c, place, option, "%s is no name that a certificate could have", name_of(value))
end)

function T.words(c, option, value, place)
  if option.all and value == "all" then return option.words end
  return set_of(one_word)(c, option, value, place)
end

function T.durations(c, option, value, place)
  if option.none and (value == "none" or value == "") then return "none" end
  local items = as_list(value)
  if type(value) == "string" then
    items = {}
    for item in (value .. ","):gmatch("%s*(.-)%s*,") do items[#items + 1] = item end
  end
  local one = { option[1], min = option.min, max = option.max }
  local texts, last = {}, 0
  for _, item in ipairs(items) do
    local us = T.duration(c, one, item, place)
    if not us then return nil end
    if option.ascending and us <= last then
      return fail(c, place, option, "%s is not longer than what stands before it", item)
    end
    last = us
    texts[#texts + 1] = item
  end
  if #texts == 0 then return fail(c, place, option, "is empty") end
  if #texts > option.most then return fail(c, place, option, "has %d; at most %d", #texts, option.most) end
  return table.concat(texts, ",")
end

T.realms = set_of(function(c, option, value, place)
  if type(value) == "string" and value:match("^[%w][%w._-]*$") and #value <= 255 then return value end
  return fail(c, place, option, "%s is no realm", name_of(value))
end)

-- ---- TLS of a listener -----------------------------------------------------------------------------------------------

-- { cert = path, key = path }; a path alone has both.
local function one_cert(c, option, value, place)
  local given = type(value) == "string" and { cert = value } or value
  if type(given) ~= "table" or getmetatable(given) or given.cert == nil then
    return fail(c, place, option, "%s is no certificate; write { cert = \"chain.pem\", key = \"key.pem\" }", name_of(value))
  end
  for key in pairs(given) do
    if key ~= "cert" and key ~= "key" then return fail(c, place, option, "%s is neither cert nor key", name_of(key)) end
  end
  local cert = T.path(c, { option[1] .. ".cert" }, given.cert, place)
  local key = given.key ~= nil and T.path(c, { option[1] .. ".key" }, given.key, place) or nil
  if not cert or given.key ~= nil and not key then return nil end
  return { cert = cert, key = key, _file = place.file, _line = place.line }
end

function T.certs(c, option, value, place)
  if type(value) == "table" and value.cert ~= nil then value = { value } end
  return check_list(c, option, value, place, one_cert)
end

-- The two ways to name certificates are one afterwards: plain.certs. A scope's own come before those that it inherited.
function T.join_certs(c, plain, given, place)
  if given.cert ~= nil and given.certs ~= nil then
    c.report:problem(place, "%scert and certs: write one of them", c.subject or "")
  elseif given.key ~= nil and given.cert == nil then
    c.report:problem(c.report:inside(place, given, "key"), "%skey: there is no cert beside it", c.subject or "")
  elseif plain.cert then
    local where = c.report:inside(place, given, "cert")
    plain.certs = { { cert = plain.cert, key = plain.key, _file = where.file, _line = where.line } }
  end
  plain.cert, plain.key = nil, nil
  return plain
end

-- { text = "[host]:port", weight = 1 }
local function one_host(c, option, value, place)
  local weight, text = 1, value
  if type(value) == "table" and not getmetatable(value) then
    for key in pairs(value) do
      if key ~= "host" and key ~= "weight" then
        return fail(c, place, option, "%s is neither host nor weight", name_of(key))
      end
    end
    text, weight = value.host, value.weight == nil and 1 or value.weight
    if type(weight) ~= "number" or weight % 1 ~= 0 or weight < 1 or weight > 65535 then
      return fail(c, place, option, "weight %s is not between 1 and 65535", name_of(weight))
    end
  end
  local inner, rest = tostring(text):match("^%[([^%[%]]+)%](.*)$")
  if type(text) ~= "string" or not inner then
    return fail(c, place, option, "%s is no host; write \"[smtp.example.org]:587\", with the brackets", name_of(text))
  end
  local port = rest == "" and 25 or tonumber(rest:match("^:(%d+)$"))
  if not port or port < 1 or port > 65535 then
    return fail(c, place, option, "%s has no port between 1 and 65535", name_of(text))
  end
  local canonical = c.host.check("ip", inner) or c.host.check("domain", inner)
  if not canonical then return fail(c, place, option, "%s in %s is no name or address", name_of(inner), name_of(text)) end
  return { text = ("[%s]:%d"):format(canonical, port), weight = weight }
end

function T.hosts(c, option, value, place)
  return check_list(c, option, value, place, one_host)
end

-- The same use gives the same plain table, wherever it stands: it is set up once.
local function one_use(c, option, value, place)
  if type(value) == "table" and getmetatable(value) == c.words.use_type then return c.words:plain_use(value) end
  if type(value) == "string" then
    return fail(c, place, option, "%s is a text; write use %s { ... }", name_of(value), name_of(value))
  end
  return fail(c, place, option, "%s is no policy; write use \"name\" { ... }", name_of(value))
end

-- One table, or a list of them; each is in the scope `scope`.
function T.tables(c, option, value, place)
  if type(value) ~= "table" or getmetatable(value) then
    return fail(c, place, option, "%s is no table; write %s = { ... }", name_of(value), option[1])
  end
  local list = (value[1] == nil and next(value) ~= nil) and { value } or value
  return check_list(c, option, list, place, function(_, _, item, where)
    if list[1] == value then where = place end
    if type(item) ~= "table" or getmetatable(item) then return fail(c, where, option, "%s is no table", name_of(item)) end
    local plain = c:check_scope(option.scope, item, where, (c.subject or "") .. option[1] .. ".")
    plain._file, plain._line = where.file, where.line
    return plain
  end)
end

-- Lists in the list are taken apart: { campus, use "extra" {} }.
function T.uses(c, option, value, place)
  local flat, depth = {}, 0
  local function add(_, _, item, where)
    if type(item) == "table" and not getmetatable(item) and depth < 8 then
      depth = depth + 1
      check_list(c, option, item, where, add)
      depth = depth - 1
    else
      flat[#flat + 1] = one_use(c, option, item, where)
    end
    return true
  end
  add(c, option, value, place)
  return flat
end

return T
