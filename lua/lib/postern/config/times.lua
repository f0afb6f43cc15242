-- lua/lib/postern/config/times.lua - "2026-12-01" and "2026-12-01T08:00:00Z" as seconds since 1970.

local M = {}

-- Days since 1970 of a date of the Gregorian calendar.
local function days_since_1970(y, m, d)
  y = m <= 2 and y - 1 or y
  local era = math.floor(y / 400)
  local year_of_era = y - era * 400
  local day_of_year = math.floor((153 * (m + (m > 2 and -3 or 9)) + 2) / 5) + d - 1
  return era * 146097 + year_of_era * 365 + math.floor(year_of_era / 4) - math.floor(year_of_era / 100) + day_of_year - 719468
end

local MONTH_DAYS = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

-- Nil if it is none.
function M.parse(text)
  if type(text) ~= "string" then return nil end
  local y, mo, d, rest = text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)(.*)$")
  if not y then return nil end
  local h, mi, s = 0, 0, 0
  if rest ~= "" then h, mi, s = rest:match("^T(%d%d):(%d%d):(%d%d)Z$") end
  y, mo, d, h, mi, s = tonumber(y), tonumber(mo), tonumber(d), tonumber(h), tonumber(mi), tonumber(s)
  if not h or y < 1970 or mo < 1 or mo > 12 or d < 1 or d > MONTH_DAYS[mo] or h > 23 or mi > 59 or s > 59 then return nil end
  return days_since_1970(y, mo, d) * 86400 + h * 3600 + mi * 60 + s
end

return M
