-- cli/tls_report.lua - postern tls-report: how TLS with next hops fared.

local args = require "cli.args"
local client = require "cli.client"
local text = require "cli.text"

local function run(opt, rest)
  if #rest > 1 then args.usage("tls-report takes one domain: %q", rest[2]) end
  local a, body = client.ask(opt, "GET", "/v1/tls-report", { yesterday = opt.yesterday and 1 or nil, domain = rest[1] })
  if opt.json then
    io.write(body, "\n")
    return 0
  end
  local rows = {}
  for _, p in ipairs(a.policies) do
    local worst = (p["failure-details"] or {})[1]
    rows[#rows + 1] = { p.policy["policy-domain"], p.policy["policy-type"],
      p.summary["total-successful-session-count"], p.summary["total-failure-session-count"],
      worst and worst["result-type"] or "-", worst and worst["receiving-mx-hostname"] or "-" }
  end
  table.sort(rows, function(x, y) return x[1] < y[1] end)
  if #rows > 0 then
    io.write(text.table({ { "DOMAIN", max = 60 }, { "POLICY" }, { "OK", right = true }, { "FAILED", right = true },
      { "FIRST FAILURE" }, { "HOST", max = 60 } }, rows))
  end
  io.write(text.plural(#rows, "line"), " of ", a["date-range"]["start-datetime"]:sub(1, 10), "\n")
  return 0
end

return {
  { name = "tls-report", args = "[DOMAIN]", doc = "How TLS with next hops fared today; --json is a report as RFC 8460 has it.",
    options = { { "yesterday", nil, "of the day before" } }, run = run },
}
