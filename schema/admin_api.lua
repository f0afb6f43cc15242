-- schema/admin_api.lua - the admin API: HTTP/1.1 on the control socket. The command line uses nothing else.
--
-- server/control/control_route.c serves exactly these; tests/unit/control/test_api.c compares the two, parameters too.
--
-- endpoint  { method, path, doc, params = { names }, answer = { code = doc } }
--           {id} in a path is a queue id. Parameters are those of the query; one that is not listed is refused with 400.
-- Answers are JSON objects in UTF-8 unless they say otherwise. One with a code of 400 or more is { "error": "what was wrong and
-- what to do next" }, with more where it says so. Times are Unix seconds. "complete": false: a worker did not answer in time.
-- The actor in the log is the user at the other end of the socket, and what X-Postern-Actor says behind it.

local params = {
  -- what selects messages and recipients; all that are given must match
  to = { "text", "recipient: a@b, @domain, or a pattern with * and ?" },
  from = { "text", "sender, likewise; <> is the null sender" },
  device = { "text", "device or user that sent it, or a pattern" },
  domain = { "text", "recipient's domain: exact, @suffix (it and all below it) or a pattern" },
  destination = { "text", "route|next hop, a next hop, or a pattern over either" },
  older_than = { "integer", "seconds since it arrived, at least" },
  status = { "list", "recipient's state: ready, active, deferred, held, ending; any of them" },
  held_reason = { "text", "why it is held, or a pattern" },
  id = { "list", "queue ids, at most 1000" },
  all = { "flag", "1: an order without any selector is meant for the whole queue, or for all bans" },
  -- TLS report
  yesterday = { "flag", "1: of the day before" },
  -- bans
  client = { "text", "address, or network as the list of bans has it" },
  user = { "text", "user, letters in any case" },
  -- what is to be done
  reason = { "text", "kept with the messages and in the log, at most 400 octets" },
  dry_run = { "flag", "1: count, and do nothing" },
  skip = { "integer", "leave out the first so many messages, at most 1000000" },
  limit = { "integer", "at most so many messages: 1 to 10000; 100" },
}

local select = { "to", "from", "device", "domain", "destination", "older_than", "status", "held_reason", "id", "all" }

local function with(...)
  local names = {}
  for _, name in ipairs(select) do names[#names + 1] = name end
  for _, name in ipairs { ... } do names[#names + 1] = name end
  return names
end

local counts = "{ messages, recipients: that match; done: recipients that the order was carried out for; busy: that are being "
  .. "delivered and were left alone; unreadable: messages; dry_run, complete }"

local function order(verb, doc, reason)
  return { "POST", "/v1/queue/" .. verb, doc, params = with("reason", "dry_run"),
    answer = { [200] = counts, [400] = "no selector and not all=1" .. (reason and ", or no reason" or ""),
      [504] = "as 200, and error: not all of it was done in time" } }
end

local per_worker = "{ version, generation, started_at, complete, workers: [ %s, or null ] }"

local row = "{ id, arrived_at, size, recipients_left, from, device, client, client_name, helo, listener, protocol, session, "
  .. "message_id, subject, held_reason, meta, deliver_by, notice, recipients: [ { address, domain, state, attempts, "
  .. "next_at, destination, last: { code, enhanced, text, remote } } ] }, what is empty left out"

return {
  version = 1,
  params = params,
  endpoints = {
    { "GET", "/health/live", "do the loops turn?", params = {}, answer = { [200] = "{ ok }", [503] = "{ ok, error }" } },
    { "GET", "/health/ready", "do all workers serve?", params = {}, answer = { [200] = "{ ok }", [503] = "{ ok, error }" } },
    { "GET", "/metrics", "all metrics (schema/metrics.lua)", params = {},
      answer = { [200] = "text, Prometheus exposition 0.0.4" } },
    { "GET", "/v1/status", "queue, spool, deliveries and sessions in numbers", params = {},
      answer = { [200] = per_worker:format "{ queue, spool, delivery, sessions, lua_bytes }" } },
    { "GET", "/v1/sessions", "clients that are connected, 1000 a worker", params = {},
      answer = { [200] = per_worker:format "[ { session, listener, client, name, helo, messages, since, doing } ]" } },
    { "GET", "/v1/destinations", "next hops", params = {},
      answer = { [200] = per_worker:format
        "[ { destination, route, next_hop, ready, active, deferred, connections, failures, probe_at, why } ]" } },
    { "GET", "/v1/queue", "messages that wait, worker by worker", params = with("skip", "limit"),
      answer = { [200] = "{ messages: [ " .. row .. " ], more, unreadable, complete }",
        [400] = "a parameter that cannot be read" } },
    { "GET", "/v1/queue/{id}", "one message", params = {},
      answer = { [200] = "as in /v1/queue, and settled: addresses that are done with; head: the header section",
        [404] = "it is not in the queue", [503] = "it could not be read" } },
    { "GET", "/v1/queue/{id}/export", "one message as octets (server/queue/queue_export.h); it stays in the queue", params = {},
      answer = { [200] = "application/octet-stream", [404] = "it is not in the queue",
        [409] = "it is being delivered: hold it first", [503] = "it could not be read",
        [507] = "it is larger than an answer may be" } },
    { "POST", "/v1/queue/import", "takes exports, one after the other in the body; all go to one worker", params = {},
      answer = { [200] = "{ imported: [ new ids ] }", [400] = "an empty body", [413] = "a message or the body is too large",
        [422] = "as 200, and error: it is no export", [503] = "as 200, and error",
        [507] = "as 200, and error: the disk is full" } },
    order("retry", "tries messages now, and asks destinations that backed off"),
    order("hold", "keeps messages back until they are released", true),
    order("release", "lets held messages go on"),
    order("bounce", "returns messages to their senders", true),
    order("remove", "throws messages away without a word", true),
    { "GET", "/v1/tls-report", "how TLS with next hops fared today (UTC), as RFC 8460 has it", params = { "yesterday", "domain" },
      answer = { [200] = "the report's JSON document; policies is empty when there is nothing to report" } },
    { "GET", "/v1/bans", "clients and users that are turned away after failed logins, in no order", params = {},
      answer = { [200] = "{ bans: [ { kind: address or user, client or user, failures, since, until } ], "
        .. "more: how many are not shown }" } },
    { "POST", "/v1/bans/remove", "lets one in again, or all", params = { "client", "user", "all", "reason" },
      answer = { [200] = "{ removed }", [400] = "none of client, user, all; or several; or no address",
        [404] = "there is no such ban" } },
    { "POST", "/v1/reload", "reads the configuration anew, as SIGHUP does", params = {},
      answer = { [200] = "{ reloaded: true, generation, problems: [ { file, line, text, warning } ] }",
        [422] = "{ reloaded: false, error, generation, problems }: nothing was changed" } },
    { "POST", "/v1/shutdown", "ends the server, as SIGTERM does", params = {}, answer = { [200] = "{ stopping: true }" } },
  },
}
