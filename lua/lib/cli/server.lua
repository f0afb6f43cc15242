-- cli/server.lua - questions to a running server as a whole, and reload and stop.

local args = require "cli.args"
local client = require "cli.client"
local text = require "cli.text"

local function no_words(command, rest)
  if #rest > 0 then args.usage("%s takes no further words: %q", command, rest[1]) end
end

-- The answers of workers that did not answer are null, which JSON lists keep as nothing.
local function workers_of(answer)
  local list = {}
  for _, w in ipairs(answer.workers) do
    if type(w) == "table" then list[#list + 1] = w end
  end
  return list
end

local function not_all(answer)
  if not answer.complete then args.fail("not all workers answered in time") end
end

local function sum(workers, part, name)
  local n = 0
  for _, w in ipairs(workers) do n = n + ((w[part] or {})[name] or 0) end
  return n
end

local function status(opt, rest)
  no_words("status", rest)
  local a, body = client.ask(opt, "GET", "/v1/status")
  if opt.json then
    io.write(body, "\n")
    return a.complete and 0 or 1
  end
  local workers, sessions, why, oldest = workers_of(a), 0, nil, 0
  for _, w in ipairs(workers) do
    sessions = sessions + (w.sessions or 0)
    if w.spool and not w.spool.accepting then why = w.spool.why or "the spool is out of order" end
    local at = w.queue and w.queue.oldest_at or 0
    if at > 0 and (oldest == 0 or at < oldest) then oldest = at end
  end
  local now = os.time()
  local function line(name, ...) io.write(("%-12s "):format(name), string.format(...), "\n") end
  line("version", "%s, up for %s, configuration %d", a.version, text.duration(now - a.started_at), a.generation)
  line("accepting", "%s", why and ("no: " .. why) or "yes")
  line("sessions", "%d", sessions)
  line("queue", "%s, %s: %d ready, %d active, %d deferred, %d held", text.plural(sum(workers, "queue", "messages"), "message"),
    text.plural(sum(workers, "queue", "recipients"), "recipient"), sum(workers, "queue", "ready"), sum(workers, "queue", "active"),
    sum(workers, "queue", "deferred"), sum(workers, "queue", "held"))
  if oldest > 0 then line("oldest", "%s", text.duration(now - oldest)) end
  line("connections", "%d out, %d of them busy", sum(workers, "delivery", "connections"), sum(workers, "delivery", "busy"))
  line("spool", "%s on disk", text.size(sum(workers, "spool", "disk_bytes")))
  line("workers", "%d", #a.workers)
  not_all(a)
end

local function sessions(opt, rest)
  no_words("sessions", rest)
  local a, body = client.ask(opt, "GET", "/v1/sessions")
  if opt.json then
    io.write(body, "\n")
    return a.complete and 0 or 1
  end
  local rows, now = {}, os.time()
  for _, w in ipairs(workers_of(a)) do
    for _, s in ipairs(w) do
      rows[#rows + 1] = { s.session, s.listener, s.client, s.name ~= "" and s.name, s.helo ~= "" and s.helo, s.messages,
        text.duration(now - s.since), s.doing }
    end
  end
  if #rows > 0 then
    io.write(text.table({ { "SESSION" }, { "LISTENER" }, { "CLIENT" }, { "NAME", max = 40 }, { "HELO", max = 30 },
      { "MESSAGES", right = true }, { "FOR", right = true }, { "DOING" } }, rows))
  end
  io.write(text.plural(#rows, "session"), "\n")
  not_all(a)
end

-- A destination is known to several workers: one line for all of them.
local function destinations(opt, rest)
  no_words("destinations", rest)
  local a, body = client.ask(opt, "GET", "/v1/destinations")
  if opt.json then
    io.write(body, "\n")
    return a.complete and 0 or 1
  end
  local by_name, names = {}, {}
  for _, w in ipairs(workers_of(a)) do
    for _, d in ipairs(w) do
      local sum_of = by_name[d.destination]
      if not sum_of then
        sum_of = { ready = 0, active = 0, deferred = 0, connections = 0, failures = 0 }
        by_name[d.destination] = sum_of
        names[#names + 1] = d.destination
      end
      for _, key in ipairs { "ready", "active", "deferred", "connections" } do sum_of[key] = sum_of[key] + d[key] end
      sum_of.failures = math.max(sum_of.failures, d.failures)
      sum_of.why = d.why or sum_of.why
      sum_of.probe_at = d.probe_at or sum_of.probe_at
    end
  end
  table.sort(names)
  local rows, now = {}, os.time()
  for i, name in ipairs(names) do
    local d = by_name[name]
    local probe = d.probe_at and text.duration(d.probe_at - now)
    rows[i] = { name, d.ready, d.active, d.deferred, d.connections, d.failures, probe, d.why }
  end
  if #rows > 0 then
    io.write(text.table({ { "DESTINATION" }, { "READY", right = true }, { "ACTIVE", right = true }, { "DEFERRED", right = true },
      { "CONNECTIONS", right = true }, { "FAILURES", right = true }, { "PROBE", right = true }, { "WHY", max = 100 } }, rows))
  end
  io.write(text.plural(#rows, "destination"), "\n")
  not_all(a)
end

local function metrics(opt, rest)
  no_words("metrics", rest)
  local code, body = client.raw(opt, "GET", "/metrics")
  if code ~= 200 then args.fail("%s", client.complaint(code, body)) end
  if not opt.json then
    io.write(body)
    return 0
  end
  local values = {}
  for line in body:gmatch("[^\n]+") do
    local name, value = line:match("^([^#%s]%S*.-)%s+(%S+)$")
    if name then values[name] = tonumber(value) end
  end
  io.write(host.json_encode(values), "\n")
end

local function health(opt, rest)
  no_words("health", rest)
  local all, result = true, {}
  for _, what in ipairs { "live", "ready" } do
    local a = client.ask(opt, "GET", "/health/" .. what, nil, { [503] = true })
    result[what] = a
    all = all and a.ok
    if not opt.json then io.write(("%-6s %s\n"):format(what, a.ok and "yes" or ("no: " .. text.clean(a.error)))) end
  end
  if opt.json then io.write(host.json_encode(result), "\n") end
  return all and 0 or 1
end

local function reload(opt, rest)
  no_words("reload", rest)
  local a, body = client.ask(opt, "POST", "/v1/reload", nil, { [422] = true })
  if opt.json then
    io.write(body, "\n")
    return a.reloaded and 0 or 1
  end
  for _, p in ipairs(a.problems) do
    local at = p.file ~= "" and (p.file .. ":" .. (p.line > 0 and p.line .. ":" or "") .. " ") or ""
    io.write(text.clean(at), p.warning and "warning: " or "", text.clean(p.text), "\n")
  end
  if not a.reloaded then args.fail("%s", a.error) end
  io.write("reloaded: configuration ", a.generation, "\n")
end

local function stop(opt, rest)
  no_words("stop", rest)
  local _, body = client.ask(opt, "POST", "/v1/shutdown")
  io.write(opt.json and (body .. "\n") or "stopping: sessions that are receiving a message may finish it\n")
end

return {
  { name = "status", doc = "What the server is doing, in a few lines.", run = status },
  { name = "sessions", doc = "Clients that are connected.", run = sessions },
  { name = "destinations", doc = "Next hops that have mail waiting, or connections.", run = destinations },
  { name = "metrics", doc = "All counters, as Prometheus reads them.", run = metrics },
  { name = "health", doc = "Is it alive, does it take mail? Status 1 if not.", run = health },
  { name = "reload", doc = "Reads the configuration again; one with mistakes changes nothing.", run = reload },
  { name = "stop", doc = "Ends the server as SIGTERM does: nothing new is accepted, what is under way may end.", run = stop },
}
