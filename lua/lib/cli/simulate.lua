-- cli/simulate.lua - postern simulate: a whole session against the real policies, with nothing sent (server/main/simulate.h).

local args = require "cli.args"
local text = require "cli.text"

local function read(name)
  local f, err = io.stdin, nil
  if name ~= "-" then f, err = io.open(name, "rb") end
  if not f then args.fail("--message: %s", err) end
  local body = f:read("*a")
  if not body then args.fail("--message: %s: it cannot be read", name) end
  return body
end

-- "key value" lines, an empty line, the message.
local function request(opt)
  local lines = {}
  local function add(key, value) args.line(lines, key, value) end
  for _, key in ipairs { "config", "client", "listener", "ptr", "from", "auth" } do add(key, opt[key]) end
  add("helo", opt.helo or opt.ptr or "[" .. (opt.client:find(":", 1, true) and "IPv6:" or "") .. opt.client .. "]")
  for _, to in ipairs(opt.to) do add("to", to) end
  if opt.plain_helo then add("plain", "1") end
  if opt.tls then add("tls", "1") end
  if opt.offline then add("offline", "1") end
  if opt.message then add("message", "1") end
  return table.concat(lines, "\n") .. "\n\n" .. (opt.message and read(opt.message) or "")
end

-- ---- for people ------------------------------------------------------------------------------------------------------

local function decision_line(d)
  local notes = {}
  if d.mode ~= "enforce" then notes[#notes + 1] = d.mode .. ", changes nothing" end
  if d.broken then notes[#notes + 1] = "broken" end
  return ("   %-8s %-24s %-10s %s%s%s  %d µs"):format(d.hook, text.clean(d.policy), d.verdict,
    d.rule and ("rule " .. text.clean(d.rule)) or "", d.text and (": " .. text.clean(d.text)) or "",
    #notes > 0 and (" (" .. table.concat(notes, "; ") .. ")") or "", d.us):gsub("%s+(%d+ µs)$", "  %1")
end

local function reply_lines(e)
  local lines, all = {}, {}
  for line in (e.text .. "\n"):gmatch("(.-)\n") do all[#all + 1] = line end
  for i, line in ipairs(all) do lines[i] = ("S: %d%s%s"):format(e.code, i < #all and "-" or " ", text.clean(line)) end
  return table.concat(lines, "\n")
end

local function print_dialogue(dialogue)
  for _, e in ipairs(dialogue) do
    if type(e.said) == "string" then
      io.write("C: ", e.said == "." and "(the message, and a dot)" or text.clean(e.said), "\n")
    end
    for _, d in ipairs(e.decisions) do io.write((decision_line(d)), "\n") end
    io.write(reply_lines(e), "\n")
  end
end

-- Fields with their continuation lines.
local function fields(head)
  local list = {}
  for line in head:gmatch("(.-)\r?\n") do
    if line:match("^[ \t]") and #list > 0 then list[#list] = list[#list] .. "\n" .. line
    elseif line ~= "" then list[#list + 1] = line end
  end
  return list
end

local function without(list, others)
  local left, count = {}, {}
  for _, f in ipairs(others) do count[f] = (count[f] or 0) + 1 end
  for _, f in ipairs(list) do
    if (count[f] or 0) > 0 then count[f] = count[f] - 1 else left[#left + 1] = f end
  end
  return left
end

local function print_head(head)
  local sent, queued = fields(head.sent), fields(head.queued)
  io.write("\nheader section:\n")
  local function print_field(mark, f)
    for line in (f .. "\n"):gmatch("(.-)\n") do
      io.write(mark, text.clean(line), "\n")
      mark = "    "
    end
  end
  for _, f in ipairs(without(sent, queued)) do print_field("  - ", f) end
  for _, f in ipairs(without(queued, sent)) do print_field("  + ", f) end
end

local function print_problems(problems)
  for _, p in ipairs(problems) do
    io.stderr:write(p.file ~= "" and (p.file .. ":" .. (p.line > 0 and p.line .. ":" or "") .. " ") or "",
      p.warning and "warning: " or "", text.clean(p.text), "\n")
  end
end

local function print_result(opt, r)
  print_dialogue(r.dialogue)
  if r.head then print_head(r.head) end
  io.write "\n"
  for _, rcpt in ipairs(r.recipients) do
    io.write(("%-9s %s"):format(rcpt.accepted and "accepted" or "refused", text.clean(rcpt.address)))
    for _, q in ipairs(rcpt.accepted and r.queued and r.queued.recipients or {}) do
      if q.address:lower() == rcpt.address:lower() then io.write(", route ", text.clean(q.route)) end
    end
    io.write "\n"
  end
  for i = #r.recipients + 1, #opt.to do io.write("not asked ", text.clean(opt.to[i]), "\n") end
  io.write("message ", r.message.outcome, r.queued and r.queued.hold_reason and (": " .. text.clean(r.queued.hold_reason)) or "",
    "; nothing was sent or kept\n")
end

local function simulate(opt, rest)
  if #rest > 0 then args.usage("simulate takes no further words: %q", rest[1]) end
  if opt.auth == "" then args.usage("--auth: whose name?") end
  for _, name in ipairs { "config", "client" } do
    if not opt[name] then args.usage("--%s is wanted; see postern simulate --help", name) end
  end
  if not opt.from then args.usage("--from is wanted; --from '' is the null sender") end
  if not opt.to then args.usage("--to is wanted, once for each recipient") end
  opt.from = opt.from == "<>" and "" or opt.from
  local out, err = host.simulate(request(opt))
  if not out then args.fail("%s", err) end
  local r = host.json_decode(out)
  if opt.json then
    io.write(out, "\n")
    return r.accepted and 0 or 1
  end
  print_problems(r.problems)
  if not r.dialogue then args.fail("%s: the configuration has mistakes; nothing was simulated", opt.config) end
  print_result(opt, r)
  return r.accepted and 0 or 1
end

return {
  { name = "simulate", doc = "A whole session against the policies of a configuration: the dialogue, and who decided what and why.",
    more = "No port is opened, nothing is sent or kept, limits begin unused. Status 0: all of it was accepted.",
    options = {
      { "config", "FILE", "the configuration" },
      { "client", "IP", "the address that the client has" },
      { "ptr", "NAME", "its name, taken to lead back to it; without it the resolver is asked" },
      { "helo", "NAME", "what it calls itself; without it, the name of --ptr, or its address" },
      { "plain-helo", nil, "it says HELO, not EHLO" },
      { "from", "ADDRESS", "envelope sender; '' is the null sender" },
      { "to", "ADDRESS", "recipient; may be repeated", many = true },
      { "message", "FILE", "the message, - for standard input; without it, a small one" },
      { "listener", "NAME", "which listener; without it, the first" },
      { "offline", nil, "no resolver is asked: names other than --ptr do not exist" },
      { "tls", nil, "it says STARTTLS, if that is offered; the handshake is taken as done" },
      { "auth", "USER", "it authenticates as this user, with a password that is taken as right; nobody is asked" },
    },
    run = simulate },
}
