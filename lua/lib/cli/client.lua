-- cli/client.lua - asks the admin API (schema/admin_api.lua) of a running server.

local args = require "cli.args"

local client = {}

local DEFAULT_SOCKET = "/run/postern/control.sock"

function client.socket(opt)
  local env = os.getenv "POSTERN_CONTROL"
  return opt.control or (env ~= "" and env) or DEFAULT_SOCKET
end

local function encode(s)
  return (tostring(s):gsub("[^%w._~-]", function(c) return ("%%%02X"):format(c:byte()) end))
end

-- { name = value, ... } in a stable order.
local function query(params)
  local names, parts = {}, {}
  for name in pairs(params or {}) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do parts[i] = encode(name) .. "=" .. encode(params[name]) end
  return #parts > 0 and ("?" .. table.concat(parts, "&")) or ""
end

-- Who is at the keyboard, behind sudo.
local function actor()
  local user = os.getenv "SUDO_USER"
  return user and user:match("^[%w._-]+$") or ""
end

-- Returns the HTTP status and the octets of the answer; raises when nobody answers.
function client.raw(opt, method, path, params, body)
  local input = table.concat({ client.socket(opt), method, path .. query(params), actor(), body or "" }, "\n")
  local out, err = host.control(input)
  if not out then args.fail("%s", err) end
  local status, rest = out:match("^(%d+)\n(.*)$")
  return tonumber(status), rest
end

-- What went wrong, in the server's words.
function client.complaint(status, body)
  local value = host.json_decode(body)
  return type(value) == "table" and value.error or ("the server answered with %d"):format(status)
end

-- The answer as a value and as text. A refusal is raised, unless it is in @expected.
function client.ask(opt, method, path, params, expected)
  local status, body = client.raw(opt, method, path, params)
  if status ~= 200 and not (expected and expected[status]) then args.fail("%s", client.complaint(status, body)) end
  local value, err = host.json_decode(body)
  if value == nil then args.fail("the server's answer is not JSON: %s", err) end
  return value, body, status
end

return client
