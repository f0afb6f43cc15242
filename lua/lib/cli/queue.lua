-- cli/queue.lua - postern queue: looking at the queue and giving orders about messages in it.

local args = require "cli.args"
local client = require "cli.client"
local text = require "cli.text"

local SELECTORS = {
  { "to", "ADDRESS", "recipient: a@b, @domain, or a pattern with * and ?" },
  { "from", "ADDRESS", "sender, likewise; <> is the null sender" },
  { "device", "NAME", "the device or user that sent it, or a pattern" },
  { "domain", "DOMAIN", "of the recipient; @example.org is that and all below it" },
  { "destination", "NAME", "route|next hop, a next hop, or a pattern" },
  { "older-than", "TIME", "in the queue for longer than 90s, 2h, 1d12h" },
  { "status", "LIST", "ready, active, deferred, held, ending" },
  { "held-reason", "TEXT", "held for this reason, or a pattern" },
}

local function with_selectors(more)
  local options = {}
  for _, list in ipairs { SELECTORS, more } do
    for _, option in ipairs(list) do options[#options + 1] = option end
  end
  return options
end

local function is_id(word)
  return #word == 12 and word:match("^%w+$") ~= nil
end

local function selection(opt, ids)
  local params = { to = opt.to, from = opt.from, device = opt.device, domain = opt.domain, destination = opt.destination,
    status = opt.status, held_reason = opt.held_reason }
  if opt.older_than then
    params.older_than = text.seconds(opt.older_than)
    if not params.older_than then args.usage("--older-than: %q is no time; write 90s, 30m, 2h, 1d12h", opt.older_than) end
  end
  for _, id in ipairs(ids) do
    if not is_id(id) then args.usage("%q is no queue id; they have 12 letters and digits", id) end
  end
  if #ids > 0 then params.id = table.concat(ids, ",") end
  return params
end

local function number(opt, name, default, min, max)
  local n = opt[name] and tonumber(opt[name]) or not opt[name] and default
  if not n or n % 1 ~= 0 or n < min or n > max then args.usage("--%s: a number from %d to %d", name, min, max) end
  return n
end

-- ---- ls --------------------------------------------------------------------------------------------------------------

local function state_of(m)
  local state
  for _, r in ipairs(m.recipients) do
    if state and state ~= r.state then return "mixed" end
    state = r.state
  end
  return state
end

local function next_of(m, now)
  local at
  for _, r in ipairs(m.recipients) do
    if r.next_at and (not at or r.next_at < at) then at = r.next_at end
  end
  return at and (at <= now and "now" or text.duration(at - now))
end

local function why_of(m)
  for _, r in ipairs(m.recipients) do
    local last = r.last
    if last then return (last.code and last.code .. " " or "") .. (last.text or "") end
  end
  return m.held_reason
end

local function to_of(m)
  local first = m.recipients[1]
  if not first then return nil end
  local to = first.address or ("@" .. first.domain)
  return #m.recipients > 1 and ("%s +%d"):format(to, #m.recipients - 1) or to
end

local function ls(opt, ids)
  local params = selection(opt, ids)
  params.skip, params.limit = number(opt, "skip", 0, 0, 1000000), number(opt, "limit", 100, 1, 10000)
  local answer, body = client.ask(opt, "GET", "/v1/queue", params)
  if opt.json then
    io.write(body, "\n")
    return answer.complete and 0 or 1
  end
  local now, rows = os.time(), {}
  for i, m in ipairs(answer.messages) do
    local age, from = text.duration(now - m.arrived_at), m.from == "" and "<>" or m.from
    rows[i] = { m.id, age, text.size(m.size), from, to_of(m), state_of(m), next_of(m, now), why_of(m) }
  end
  if #rows > 0 then
    io.write(text.table({ { "ID" }, { "AGE", right = true }, { "SIZE", right = true }, { "FROM", max = 40 }, { "TO", max = 40 },
      { "STATE" }, { "NEXT", right = true }, { "WHY", max = 100 } }, rows))
  end
  io.write(text.plural(#rows, "message"), answer.more and (", and more: --skip %d"):format(params.skip + #rows) or "", "\n")
  if answer.unreadable > 0 then io.write(text.plural(answer.unreadable, "message"), " could not be read\n") end
  if not answer.complete then args.fail("not all workers answered in time; this is not the whole queue") end
end

-- ---- show ------------------------------------------------------------------------------------------------------------

local FACTS = { { "from", "from" }, { "device", "device" }, { "client", "client" }, { "client_name", "client name" },
  { "helo", "helo" }, { "listener", "listener" }, { "protocol", "protocol" }, { "session", "session" },
  { "message_id", "message id" }, { "subject", "subject" }, { "held_reason", "held" }, { "meta", "meta" } }

local function show_one(m, now)
  io.write(("%s\n  arrived      %s, %s ago\n  size         %s octets\n"):format(m.id, text.time(m.arrived_at),
    text.duration(now - m.arrived_at), m.size))
  for _, fact in ipairs(FACTS) do
    local value = m[fact[1]]
    if value then
      io.write(("  %-12s %s\n"):format(fact[2], fact[1] == "from" and value == "" and "<>" or text.clean(value)))
    end
  end
  local rows = {}
  for i, r in ipairs(m.recipients) do
    local last = r.last or {}
    rows[i] = { r.address or ("@" .. r.domain), r.state, r.attempts, r.next_at and text.time(r.next_at), r.destination, last.remote,
      last.text and ((last.code and last.code .. " " or "") .. last.text) }
  end
  io.write("\n", text.table({ { "TO" }, { "STATE" }, { "TRIED", right = true }, { "NEXT" }, { "DESTINATION" }, { "REMOTE" },
    { "LAST" } }, rows))
  for _, address in ipairs(m.settled or {}) do io.write("settled: ", text.clean(address), "\n") end
  if m.head then
    io.write "\n"
    for line in m.head:gmatch("([^\r\n]+)\r?\n") do io.write("  ", text.clean(line), "\n") end
  end
end

local function show(opt, ids)
  if #ids == 0 then args.usage("which? give queue ids; postern queue ls has them") end
  selection({}, ids)
  for i, id in ipairs(ids) do
    local m, body = client.ask(opt, "GET", "/v1/queue/" .. id)
    if opt.json then io.write(body, "\n")
    else
      if i > 1 then io.write "\n" end
      show_one(m, os.time())
    end
  end
end

-- ---- orders ----------------------------------------------------------------------------------------------------------

local DONE = { retry = "tried again", hold = "held", release = "released", bounce = "returned to their senders",
  remove = "removed" }

local function order(verb)
  return function(opt, ids)
    local params = selection(opt, ids)
    if not next(params) and not opt.all then
      args.usage("nothing is selected; give ids or selectors, or --all for the whole queue")
    end
    if opt.all then params.all = 1 end
    if not opt.reason and (verb == "hold" or verb == "bounce" or verb == "remove") then
      args.usage("why? --reason TEXT is kept with the messages and in the log")
    end
    params.reason, params.dry_run = opt.reason, opt.dry_run and 1 or nil
    local a, body, status = client.ask(opt, "POST", "/v1/queue/" .. verb, params, { [504] = true })
    if opt.json then
      io.write(body, "\n")
    else
      io.write(("%s of %s %s\n"):format(text.plural(a.done, "recipient"), text.plural(a.messages, "message"),
        (a.dry_run and "would be " or "") .. DONE[verb]))
      if a.busy > 0 then io.write(text.plural(a.busy, "recipient"), " being delivered at this moment: left alone\n") end
      if a.unreadable > 0 then io.write(text.plural(a.unreadable, "message"), " could not be read\n") end
    end
    if status ~= 200 then args.fail("%s", a.error) end
    return a.messages > 0 and 0 or 1
  end
end

-- ---- export, import --------------------------------------------------------------------------------------------------

local function is_terminal()
  local ffi = require "ffi"
  ffi.cdef "int isatty(int fd);"
  return ffi.C.isatty(1) == 1
end

local function open_output(opt)
  if opt.output and opt.output ~= "-" then
    local f, err = io.open(opt.output, "wb")
    if not f then args.fail("%s", err) end
    return f
  end
  if is_terminal() then args.usage("an export is octets, not text: --output FILE, or send it elsewhere with > or |") end
  return io.stdout
end

local function export(opt, ids)
  if #ids == 0 then args.usage("which? give queue ids; postern queue ls has them") end
  selection({}, ids)
  local out = open_output(opt)
  for _, id in ipairs(ids) do
    local status, body = client.raw(opt, "GET", "/v1/queue/" .. id .. "/export")
    if status ~= 200 then args.fail("%s", client.complaint(status, body)) end
    local ok, err = out:write(body)
    if not ok then args.fail("%s: %s", opt.output or "standard output", err) end
  end
  local ok, err = out:flush()
  if not ok then args.fail("%s: %s", opt.output or "standard output", err) end
  io.stderr:write(text.plural(#ids, "message"),
    " exported, and still in the queue: postern queue remove when they are elsewhere\n")
end

local MAGIC = "PSTQ1\n"
local HEADER = #MAGIC + 20

local function little_endian(s, at, n)
  local v = 0
  for i = n - 1, 0, -1 do v = v * 256 + s:byte(at + i) end
  return v
end

-- Each message goes by itself: so they are spread over the workers, and one that is damaged names itself.
local function messages_of(f, name)
  local count = 0
  return function()
    local header = f:read(HEADER)
    if not header then return nil end
    count = count + 1
    if header:sub(1, #MAGIC) ~= MAGIC or #header < HEADER then args.fail("%s: message %d: this is no export", name, count) end
    local at, n = #MAGIC + 1, 4
    for _, width in ipairs { 4, 4, 4, 8 } do
      n = n + little_endian(header, at, width)
      at = at + width
    end
    if n > 1024 * 1024 * 1024 then args.fail("%s: message %d: too large", name, count) end
    local rest = f:read(n)
    if not rest or #rest < n then args.fail("%s: message %d: it was cut off", name, count) end
    return header .. rest, count
  end
end

local function import(opt, files)
  if #files == 0 then args.usage("from where? give files that export made, - for standard input") end
  local ids = {}
  for _, name in ipairs(files) do
    local f, err = io.stdin, nil
    if name ~= "-" then f, err = io.open(name, "rb") end
    if not f then args.fail("%s", err) end
    for message, count in messages_of(f, name) do
      local status, body = client.raw(opt, "POST", "/v1/queue/import", nil, message)
      local answer = host.json_decode(body)
      for _, id in ipairs(type(answer) == "table" and answer.imported or {}) do ids[#ids + 1] = id end
      if status ~= 200 then
        args.fail("%s: message %d: %s; %s before it are in the queue", name, count, client.complaint(status, body), #ids)
      end
    end
    if name ~= "-" then f:close() end
  end
  if opt.json then
    io.write(host.json_encode({ imported = ids }), "\n")
  else
    for _, id in ipairs(ids) do io.write(id, "\n") end
  end
end

-- ---- the commands ----------------------------------------------------------------------------------------------------

local DRY = { "dry-run", nil, "say what would be done, and do nothing" }
local ALL = { "all", nil, "the whole queue" }

local function order_command(verb, doc, wants_reason)
  local reason = { "reason", "TEXT", wants_reason and "why: kept with the messages and in the log" or "why: kept in the log" }
  return { name = "queue " .. verb, args = "[ID...]", doc = doc, options = with_selectors { ALL, reason, DRY }, run = order(verb) }
end

return {
  { name = "queue ls", args = "[ID...]", doc = "Messages that wait, the selected ones or all.",
    options = with_selectors { { "skip", "N", "leave out the first N" }, { "limit", "N", "at most N: 100, up to 10000" } },
    run = ls },
  { name = "queue show", args = "ID...", doc = "All that is known of a message, its header section too.", run = show },
  order_command("retry", "Tries the selected messages now; destinations that were given up for a while are asked again."),
  order_command("hold", "Keeps the selected messages back until they are released.", true),
  order_command("release", "Lets messages that are held go on."),
  order_command("bounce", "Returns the selected messages to their senders as undeliverable.", true),
  order_command("remove", "Throws the selected messages away without a word to anybody.", true),
  { name = "queue export", args = "ID...", doc = "Writes messages as octets, for queue import of another node. Hold them before.",
    options = { { "output", "FILE", "where to; without it, standard output" } }, run = export },
  { name = "queue import", args = "FILE...", doc = "Takes in what queue export wrote; prints the new ids.", run = import },
}
