-- cli/upstream.lua - postern upstream check: walks the way to a route's hosts and names the step that fails
-- (server/main/upstream_check.h).

local args = require "cli.args"
local text = require "cli.text"

local MARKS = { ok = "ok", note = "note", failed = "FAILED" }

local function print_host(host)
  io.write(text.clean(host.host), "\n")
  for _, s in ipairs(host.steps) do
    io.write(("  %-7s %-12s %s%s\n"):format(MARKS[s.outcome] or s.outcome, s.step, s.code and (s.code .. " ") or "",
      text.clean(s.text)))
    if s.advice and s.advice ~= "" then io.write((" "):rep(23), text.clean(s.advice), "\n") end
  end
end

local function print_problems(problems)
  for _, p in ipairs(problems) do
    io.stderr:write(p.file ~= "" and (p.file .. ":" .. (p.line > 0 and p.line .. ":" or "") .. " ") or "",
      p.warning and "warning: " or "", text.clean(p.text), "\n")
  end
end

local function print_result(r)
  print_problems(r.problems)
  for _, host in ipairs(r.hosts or {}) do print_host(host) end
  if r.good then
    io.write(("route %s: good; nothing was sent\n"):format(text.clean(r.route)))
  else
    io.write(("%sfailed at: %s\n"):format(r.route and ("route " .. text.clean(r.route) .. ": ") or "", text.clean(r.failed or "?")))
  end
end

local function check(opt, rest)
  if not opt.config then args.usage("which file? --config FILE") end
  if #rest ~= 1 then args.usage("which route? postern upstream check --config FILE ROUTE") end
  local lines = {}
  local function add(key, value) args.line(lines, key, value) end
  add("config", opt.config)
  add("route", rest[1])
  add("to", opt.to)
  add("from", opt.from)
  local out, err = host.upstream_check(table.concat(lines, "\n"))
  if not out then args.fail("%s", err) end
  local r = host.json_decode(out)
  if opt.json then io.write(out, "\n") else print_result(r) end
  return r.good and 0 or 1
end

return {
  { name = "upstream check", args = "ROUTE",
    doc = "Walks the way to a route's hosts - name, connection, TLS, certificate, token, login - and names the step that fails.",
    options = {
      { "config", "FILE", "the configuration" },
      { "to", "ADDRESS", "domain whose MX hosts are tried; or a mailbox, which RCPT is tried with (no message is sent)" },
      { "from", "ADDRESS", "sender: whose login is used, and what MAIL is tried with" },
    }, run = check },
}
