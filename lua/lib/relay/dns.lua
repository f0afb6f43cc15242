-- relay/dns.lua - relay.dns: what C gives (mx a aaaa txt ptr reverse), and what is made of it.
--
-- Every function waits. It returns an answer, or nil and { kind = "temp" | "none" | "invalid", result =, text = }.

local core = require "relay.core"

local M = {}
for name, f in pairs(core.dns) do M[name] = f end

-- Could mail for this domain be delivered at all? true, false, or nil and an error of kind "temp" when that is not known.
function M.resolves(domain)
  local mx, err = core.dns.mx(domain)
  if mx then
    return not (#mx == 1 and mx[1].host == ".") -- RFC 7505: it says that it takes no mail
  end
  if err.kind == "invalid" then return false end
  if err.kind == "temp" then return nil, err end
  -- RFC 5321 section 5.1: without MX records the host itself is meant.
  for _, question in ipairs { core.dns.a, core.dns.aaaa } do
    local answer
    answer, err = question(domain)
    if answer then return true end
    if err.kind == "temp" then return nil, err end
  end
  return false
end

local function reversed(ip)
  local parts = core.text.split(ip, ".")
  if #parts ~= 4 then return nil end
  return ("%s.%s.%s.%s"):format(parts[4], parts[3], parts[2], parts[1])
end

-- Is an IPv4 address on a list (RFC 5782)? The list's answers; nil if not; nil and an error if that is not known.
function M.listed(ip, zone)
  local name = reversed(ip)
  if not name then return nil end
  local answer, err = core.dns.a(name .. "." .. zone)
  if answer then return answer end
  if err.kind == "temp" then return nil, err end
  return nil
end

return M
