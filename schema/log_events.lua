-- schema/log_events.lua - every event that the server logs, and every field that an event may have.
--
-- To add one: add a line. The build makes LOG_EV_<NAME>, LOG_F_<NAME> and the tables of base/log.c from this file.
--
-- fields   name = { type, doc [, max = octets] }
--            type  str    bytes, escaped by the writer, cut at `max` (1024 unless said)
--                  int    64 bits; the unit is the end of the name: _us _bytes _at (seconds since 1970)
--                  bool
--                  json   a list or an object, built by the caller
-- events   { name, level, doc, fields [, postfix] }
--            A name ends in what happened: _started _finished _refused _failed ...
--            postfix is how the event reads with log format "postfix": a list of { service, template }, a line each. In a
--            template {x} is the field x, {x^} is it in capitals, {x|y} says y when the event came without x; times (_us) are
--            written as seconds. An event without it is written as "event: field=value, ...".
--
-- Every record also has time, level, event, node and worker.

local function join(...)
  local all = {}
  for _, list in ipairs { ... } do
    for _, name in ipairs(list) do all[#all + 1] = name end
  end
  return all
end

local fields = {
  -- who
  { "session", "str", "id of the inbound session" },
  { "id", "str", "queue id of the message" },
  { "case", "str", "id of one refusal; the reply, the log and `postern why` share it" },
  { "listener", "str", "name of the listener" },
  { "client", "str", "address of the client" },
  { "client_port", "int", "its port" },
  { "ptr", "str", "its name, confirmed forward and reverse" },
  { "helo", "str", "what it calls itself" },
  { "proto", "str", "SMTP ESMTP ESMTPS ESMTPSA ... (RFC 3848)" },
  { "device", "str", "id of the registered device" },
  { "user", "str", "authenticated identity, or the one that was tried" },
  { "mech", "str", "SASL mechanism" },
  { "backend", "str", "who decided on a login: kerberos users sasldb saslauthd gssapi external" },
  { "login", "str", "user name as the client gave it" },
  { "realm", "str", "realm of the user" },
  { "bits", "int", "length of the key of the TLS cipher" },
  { "sni", "str", "name that the client asked for in its TLS handshake" },
  { "resumed", "bool", "the handshake continued an earlier TLS session" },
  { "cert", "str", "subject of the certificate that the peer has" },
  { "offered", "str", "what the other side offered: TLS versions and cipher suites, mechanisms" },
  { "actor", "str", "who asked for it: a person, a tool, the server" },
  -- envelope and message
  { "from", "str", "reverse path, empty for notices" },
  { "to", "str", "one recipient" },
  { "recipients", "json", "list of recipients" },
  { "nrcpt", "int", "number of recipients" },
  { "size_bytes", "int", "size of the message" },
  { "message_id", "str", "its Message-ID" },
  { "subject", "str", "its Subject, if the configuration says so", max = 200 },
  { "notice_id", "str", "queue id of a notice about a message" },
  -- replies and decisions
  { "stage", "str", "connect helo mail rcpt data message route ..." },
  { "code", "int", "SMTP reply code, or HTTP status" },
  { "enhanced", "str", "enhanced status code (RFC 3463)" },
  { "text", "str", "what was said, by us or by the peer", max = 4096 },
  { "rule", "str", "id of the rule that decided" },
  { "policy", "str", "policy that the rule is from" },
  { "verdict", "str", "accept reject defer disconnect hold discard" },
  { "mode", "str", "enforce observe canary" },
  { "hook", "str", "hook that ran" },
  { "signed_by", "str", "domain that a message was signed for" },
  { "dkim", "json", "signatures that a message came with: [{domain, selector, result, reason}]" },
  { "decisions", "json", "policies that had an opinion: [{policy, hook, verdict, rule}]" },
  { "path", "json", "the whole decision path, in order" },
  { "options", "json", "values that a policy logged" },
  -- how a session went
  { "commands", "int", "commands of the session" },
  { "messages", "int", "messages" },
  { "refusals", "int", "commands that were refused" },
  { "bytes_in", "int", "octets received" },
  { "bytes_out", "int", "octets sent" },
  { "early_talker", "bool", "the client spoke before its turn" },
  { "reason", "str", "why it ended or happened" },
  { "tls", "str", "TLS version, or none" },
  { "cipher", "str", "TLS cipher suite" },
  { "tls_level", "str", "how a delivery was protected: off may encrypt verify dane sts" },
  { "cert_ok", "bool", "the peer's certificate was verified, or would have been" },
  -- delivery
  { "relay", "str", "next hop as name[address]:port, or none" },
  { "route", "str", "route that chose it" },
  { "domain", "str", "destination domain" },
  { "dsn", "str", "status of the recipient (RFC 3463)" },
  { "status", "str", "sent deferred bounced held" },
  { "attempt", "int", "number of this attempt, from 1" },
  { "retry_at", "int", "when the next attempt is due" },
  { "delay_us", "int", "from the arrival of the message until now" },
  { "before_us", "int", "part of delay_us: arrival until it was in the queue" },
  { "queued_us", "int", "part of delay_us: waiting in the queue" },
  { "connect_us", "int", "part of delay_us: resolving, connecting, greeting" },
  { "transfer_us", "int", "part of delay_us: sending and waiting for the reply" },
  -- times and amounts
  { "duration_us", "int", "how long it took" },
  { "commit_us", "int", "how long it took to reach the disk" },
  { "limit", "str", "name of a limit" },
  { "limit_max", "int", "its value" },
  { "count", "int", "how many" },
  -- spool
  { "segment", "int", "spool segment" },
  { "offset_bytes", "int", "place in a file" },
  { "segments", "int", "number of segments" },
  { "moved", "int", "messages that were moved" },
  { "torn_bytes", "int", "octets of an incomplete record that were cut off" },
  { "freed_bytes", "int", "octets that were given back" },
  { "free_bytes", "int", "octets that the file system has left" },
  { "needed_bytes", "int", "octets that must stay free" },
  -- what failed
  { "error", "str", "name of the error (base/err.h)" },
  { "what", "str", "what failed" },
  { "at", "str", "file:line" },
  { "traceback", "str", "Lua traceback", max = 8192 },
  { "fatal", "bool", "the process ended" },
  -- the rest of the world
  { "file", "str", "path of a file" },
  { "addr", "str", "address and port" },
  { "method", "str", "HTTP method" },
  { "resource", "str", "path of the request" },
  { "version", "str", "version of the server" },
  { "pid", "int", "process id" },
  { "workers", "int", "number of workers" },
  { "generation", "int", "number of the configuration, counted from the start" },
  { "signal", "str", "name of a signal" },
  { "stuck_worker", "int", "worker that stands still" },
  { "stuck_us", "int", "for how long" },
}

local session = { "session", "listener", "client", "client_port", "ptr", "helo", "proto", "device", "user", "mech",
  "tls", "cipher", "bits", "sni", "resumed", "cert", "cert_ok" }
local failure = { "what", "error", "text" }

local events = {
  -- the server
  { "server_started", "info", "it serves", { "version", "pid", "workers", "file", "duration_us" },
    { { "master", "daemon started -- version {version}, configuration {file}" } } },
  { "server_stopping", "info", "it takes no new sessions and lets the running ones end", { "reason", "signal", "count" } },
  { "server_stopped", "info", "all is on disk, all is closed", { "reason", "duration_us", "count" },
    { { "master", "terminating on {reason|request}" } } },
  { "server_failed", "error", "it cannot start or cannot go on", failure },
  { "config_loaded", "info", "a configuration is in force", { "file", "generation", "duration_us" } },
  { "config_refused", "error", "a configuration has a mistake and changed nothing", { "file", "at", "text", "count" } },
  { "config_warning", "warn", "a configuration is in force but odd", { "file", "at", "text" } },
  { "file_taken", "info", "a file beside the configuration was changed, and is used from now on", { "what", "text" } },
  { "file_refused", "error", "a file beside the configuration cannot be used as it is; what was there before goes on", failure },
  { "token_failing", "warn", "no access token can be had for a login, or a new refresh token could not be kept", failure },
  { "listener_opened", "info", "it accepts connections", { "listener", "addr", "tls" } },
  { "worker_stuck", "error", "a loop stands still; the process ends",
    { "stuck_worker", "stuck_us", "hook", "policy", "session" } },
  { "bug", "error", "a check on ourselves failed", { "what", "at", "fatal" } },
  { "server_notice", "info", "anything else at start-up", { "text" } },
  { "control_request", "info", "the admin API was asked", { "method", "resource", "actor", "code", "duration_us", "reason" } },
  { "control_refused", "warn", "the admin API refused", { "method", "resource", "actor", "code", "text", "reason" } },

  -- inbound
  { "session_finished", "info", "a session ended",
    join(session, { "commands", "messages", "nrcpt", "refusals", "duration_us", "bytes_in", "bytes_out",
      "reason", "early_talker" }),
    { { "smtpd", "disconnect from {ptr|unknown}[{client}] commands={commands|0}" } } },
  { "session_refused", "info", "a client was turned away before its session began",
    { "listener", "client", "client_port", "ptr", "limit", "limit_max", "count", "code", "text" },
    { { "smtpd", "NOQUEUE: reject: CONNECT from {ptr|unknown}[{client}]: {code} {text}" } } },
  -- reason: wrong unknown expired locked policy
  { "auth_failed", "info", "a login was refused for good; contrib/fail2ban reads it",
    join(session, { "backend", "code", "reason", "text", "offered", "count" }),
    { { "smtpd", "warning: {ptr|unknown}[{client}]: SASL {mech|PLAIN} authentication failed: {reason|refused}," ..
        " sasl_username={user|unknown}" } } },
  -- reason: tempfail ban (454) clear (538) mechanism (504) malformed (500, 501) cancelled (501) policy (4xx)
  { "auth_undecided", "info", "AUTH ended and nobody said whether the login is right",
    join(session, { "backend", "code", "reason", "text", "offered", "count" }) },
  { "auth_banned", "warn", "so many different logins failed that an address or a user is turned away until retry_at",
    { "session", "listener", "client", "user", "what", "count", "retry_at" } },
  { "tls_on_plain_port", "info", "a client began TLS where SMTP was expected", session },
  { "tls_failed", "info", "a TLS handshake failed", join(session, { "offered", "error", "text", "duration_us" }),
    { { "smtpd", "SSL_accept error from {ptr|unknown}[{client}]: {text}" } } },
  { "tls_input_dropped", "warn", "what came behind STARTTLS in clear was thrown away: nobody knows who said it", session },
  { "tls_would_refuse", "info", "from the day on that the listener names this client will be refused without TLS", session },
  { "tls_reloaded", "info", "certificate or key have changed; new sessions get them",
    { "listener", "file", "text" } },
  { "tls_reload_failed", "error", "certificate or key have changed and cannot be used; the old ones go on",
    { "listener", "file", "text" } },
  { "authenticated", "info", "a client is authenticated", join(session, { "login", "realm", "backend" }),
    { { "smtpd", "client={ptr|unknown}[{client}], sasl_method={mech}, sasl_username={user}" } } },
  { "auth_reload_failed", "error", "users or keys have changed and cannot be read; the old ones go on", { "backend", "text" } },
  { "auth_reloaded", "info", "users or keys have changed", { "backend", "text" } },
  { "message_accepted", "info", "250 was said: the message is on disk",
    join(session, { "id", "from", "recipients", "nrcpt", "size_bytes", "message_id", "subject", "duration_us",
      "commit_us", "signed_by", "dkim", "decisions" }),
    { { "smtpd", "{id}: client={ptr|unknown}[{client}]" },
      { "cleanup", "{id}: message-id={message_id|<>}" },
      { "qmgr", "{id}: from=<{from}>, size={size_bytes}, nrcpt={nrcpt} (queue active)" } } },
  { "message_discarded", "info", "250 was said and a policy threw the message away",
    join(session, { "from", "recipients", "nrcpt", "size_bytes", "message_id", "rule", "policy", "text", "decisions" }) },
  { "refused", "info", "a command was refused for a reason that the sender must know",
    join(session, { "case", "stage", "from", "to", "code", "enhanced", "rule", "policy", "text", "path", "size_bytes" }),
    { { "smtpd", "NOQUEUE: reject: {stage^} from {ptr|unknown}[{client}]: {code} {enhanced} {text};" ..
        " from=<{from}> to=<{to}> proto={proto|SMTP} helo=<{helo}>" } } },

  -- the queue and the spool
  { "queue_recovered", "info", "what the spool held at start-up",
    { "messages", "nrcpt", "segments", "torn_bytes", "count", "duration_us" } },
  { "message_expired", "info", "a recipient was tried until the end of its lifetime",
    { "id", "from", "to", "delay_us", "attempt", "text" },
    { { "qmgr", "{id}: from=<{from}>, status=expired, returned to sender" } } },
  { "message_held", "info", "a message waits for an operator", { "id", "from", "nrcpt", "reason", "rule", "policy", "actor" },
    { { "cleanup", "{id}: hold: {reason}; from=<{from}>" } } },
  { "message_released", "info", "an operator let it go", { "id", "reason", "actor" } },
  { "message_removed", "info", "nothing is left to do for it", { "id", "reason", "actor", "delay_us", "attempt" },
    { { "qmgr", "{id}: removed" } } },
  { "spool_failed", "error", "the disk failed; a segment is closed and mail is refused until it works",
    join({ "segment", "file", "offset_bytes" }, failure) },
  { "spool_recovered", "info", "the spool accepts mail again", { "segment", "duration_us", "reason" } },
  { "spool_corrupt", "error", "a record is damaged and was left out",
    { "segment", "file", "offset_bytes", "id", "text", "count" } },
  { "spool_space_low", "warn", "too little space: mail is refused", { "file", "free_bytes", "needed_bytes" } },
  { "spool_space_ok", "info", "space again: mail is accepted", { "file", "free_bytes", "needed_bytes" } },
  { "spool_compacted", "debug", "a mostly dead segment was emptied", { "segment", "moved", "freed_bytes", "duration_us" } },

  -- outbound
  { "attempt_finished", "info", "one recipient was tried",
    { "id", "from", "to", "relay", "route", "domain", "device", "delay_us", "before_us", "queued_us", "connect_us", "transfer_us",
      "dsn", "code", "status", "attempt", "retry_at", "text", "reason", "tls", "cipher", "tls_level", "cert_ok", "size_bytes",
      "rule", "policy" },
    { { "smtp", "{id}: to=<{to}>, relay={relay|none}, delay={delay_us|0}," ..
        " delays={before_us|0}/{queued_us|0}/{connect_us|0}/{transfer_us|0}, dsn={dsn}, status={status} ({text})" } } },
  { "connection_opened", "debug", "a connection to a next hop is ready",
    { "relay", "route", "domain", "tls", "cipher", "tls_level", "cert_ok", "duration_us" } },
  { "connection_failed", "info", "a next hop could not be reached or did not want us",
    join({ "relay", "route", "domain", "code", "duration_us", "reason" }, failure),
    { { "smtp", "connect to {relay}: {text}" } } },
  { "tls_fell_back", "warn", "TLS with a next hop failed, and the route permits mail to go there in the clear",
    { "relay", "route", "domain", "what", "text" },
    { { "smtp", "{relay}: TLS failed, trying again in the clear: {text}" } } },
  { "sts_unavailable", "warn", "a domain says that it has an MTA-STS policy, and it could not be had",
    { "domain", "route", "text" } },
  { "starttls_unused", "info", "a next hop offers TLS and the route does not use it", { "relay", "route", "domain" },
    { { "smtp", "Host offered STARTTLS: [{relay}]" } } },
  { "upstream_auth_failed", "error", "a next hop did not take our login: its mail waits until an operator has mended that",
    { "relay", "route", "user", "mech", "code", "text" },
    { { "smtp", "{relay}: SASL authentication failed: {text}" } } },
  { "bounce_queued", "info", "a non-delivery report is on its way to the sender", { "id", "notice_id", "from", "to", "nrcpt" },
    { { "bounce", "{id}: sender non-delivery notification: {notice_id}" } } },
  { "delay_notice_queued", "info", "the sender is told that it takes long",
    { "id", "notice_id", "from", "to", "nrcpt", "retry_at" },
    { { "bounce", "{id}: sender delay notification: {notice_id}" } } },
  { "success_notice_queued", "info", "the sender asked for a report of success", { "id", "notice_id", "from", "to", "nrcpt" },
    { { "bounce", "{id}: sender delivery status notification: {notice_id}" } } },
  { "notice_failed", "warn", "a notice could not be delivered or made; nobody will be told",
    { "id", "notice_id", "from", "to", "device", "dsn", "text", "error" } },

  -- policy
  { "policy_loaded", "debug", "a policy is in force", { "policy", "file", "mode", "generation" } },
  { "policy_error", "error", "a policy raised an error; the command was answered 451",
    { "policy", "hook", "session", "id", "at", "text", "traceback", "case" } },
  { "policy_budget", "error", "a policy used up its budget; the command was answered 451",
    { "policy", "hook", "session", "id", "at", "limit", "limit_max", "duration_us", "traceback", "case" } },
  { "policy_observed", "info", "what a policy that only observes would have done",
    join(session, { "policy", "hook", "mode", "verdict", "rule", "code", "enhanced", "text", "from", "to", "id" }) },
  { "policy_log", "info", "a policy says something", { "policy", "hook", "session", "id", "text", "options" } },
  { "policy_warning", "warn", "a policy warns", { "policy", "hook", "session", "id", "text", "options" } },
  { "policy_debug", "debug", "a policy says something for its author", { "policy", "hook", "session", "id", "text", "options" } },
}

return { levels = { "error", "warn", "info", "debug" }, fields = fields, events = events }
