-- schema/metrics.lua - every number that the server counts.
--
-- To add one: add a line. The build makes METRIC_<NAME> and the tables of base/metric.c from this file; the Prometheus name is
-- postern_<name>.
--
-- { name, kind, doc [, label = "key"] [, unit = "us"] [, bounds = {...}] }
--   kind     counter    only grows; its name ends in _total
--            gauge      goes up and down; over the workers it is summed
--            histogram  needs `bounds`, ascending, at most 24, in the unit of the metric
--   label    the counter is kept per value of this label; at most 256 values, the rest is counted as "other"
--   unit     us: the server counts microseconds and publishes seconds; the name ends in _seconds or _seconds_total

local function decades(from, to)
  local bounds = {}
  local at = from
  while at <= to do
    for _, step in ipairs { 1, 2.5, 5 } do
      if at * step <= to then bounds[#bounds + 1] = at * step end
    end
    at = at * 10
  end
  return bounds
end

local ms, s = 1000, 1000000

return {
  -- the process
  { "start_time_seconds", "gauge", "when the server started, in seconds since 1970" },
  { "workers", "gauge", "workers that run" },
  { "config_generation", "gauge", "number of the configuration in force" },
  { "config_refused_total", "counter", "configurations that were refused" },
  { "log_lines_lost_total", "counter", "log lines that were lost because the reader was too slow, or gone" },
  { "bugs_total", "counter", "checks on ourselves that failed" },

  -- inbound
  { "sessions_total", "counter", "sessions that began", label = "listener" },
  { "sessions_refused_total", "counter", "connections that were turned away at once", label = "limit" },
  { "sessions_open", "gauge", "sessions that are open" },
  { "session_seconds", "histogram", "how long a session takes", unit = "us", bounds = decades(ms, 1000 * s) },
  { "session_ends_total", "counter", "why sessions ended", label = "reason" },
  { "sessions_tls_total", "counter", "sessions that ended, by how they were protected in the end", label = "version" },
  { "tls_sessions_total", "counter", "TLS handshakes with clients that succeeded", label = "version" },
  { "tls_failed_total", "counter", "TLS handshakes with clients that failed", label = "listener" },
  { "tls_would_refuse_total", "counter", "sessions that a listener will refuse without TLS when its day has come",
    label = "listener" },
  { "auth_total", "counter", "attempts to authenticate; ok, or why not", label = "outcome" },
  { "auth_bans_total", "counter", "bans after too many failures, of an address or a user", label = "kind" },
  { "commands_total", "counter", "commands that came" },
  { "received_bytes_total", "counter", "octets that came from clients" },
  { "messages_accepted_total", "counter", "messages that were accepted", label = "listener" },
  { "messages_discarded_total", "counter", "messages that a policy threw away" },
  { "message_bytes", "histogram", "size of accepted messages",
    bounds = { 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864 } },
  { "recipients_accepted_total", "counter", "recipients that were accepted" },
  { "refused_total", "counter", "refusals", label = "rule" },
  { "data_seconds", "histogram", "from the end of a message's data to its reply", unit = "us", bounds = decades(100, 10 * s) },

  -- policy
  { "hook_seconds", "histogram", "how long a hook takes, its waiting included", unit = "us", bounds = decades(10, 1 * s) },
  { "hook_calls_total", "counter", "hooks that were called", label = "hook" },
  { "hook_errors_total", "counter", "hooks that ended with an error", label = "policy" },
  { "hook_budget_total", "counter", "hooks that used up their budget", label = "policy" },
  { "hook_observed_total", "counter", "verdicts of policies that only observe", label = "rule" },
  { "policy_counts_total", "counter", "what policies counted (relay.metric.count)", label = "name" },
  { "lua_bytes", "gauge", "memory of the Lua states" },

  -- spool and queue
  { "spool_bytes", "gauge", "octets that the spool takes" },
  { "spool_live_bytes", "gauge", "octets of it that are messages still to be delivered" },
  { "spool_segments", "gauge", "segments of the spool" },
  { "spool_fsyncs_total", "counter", "times that data was forced to the disk" },
  { "spool_commits_total", "counter", "messages that were committed" },
  { "spool_written_bytes_total", "counter", "octets that were written" },
  { "spool_failures_total", "counter", "writes and fsyncs that failed" },
  { "spool_refusing", "gauge", "1 while mail is refused because of the disk" },
  { "commit_seconds", "histogram", "how long a message waits for its commit", unit = "us", bounds = decades(100, 10 * s) },
  { "queue_messages", "gauge", "messages in the queue" },
  { "queue_recipients", "gauge", "recipients in the queue" },
  { "queue_active", "gauge", "recipients that are being delivered" },
  { "queue_deferred", "gauge", "recipients that wait for another attempt" },
  { "queue_held", "gauge", "messages that wait for an operator" },

  -- outbound
  { "deliveries_total", "counter", "attempts that ended", label = "status" },
  { "delivery_seconds", "histogram", "from the arrival of a message to its delivery", unit = "us",
    bounds = decades(10 * ms, 100000 * s) },
  { "delivered_bytes_total", "counter", "octets that were sent to next hops" },
  { "outbound_connections_total", "counter", "connections to next hops that were opened" },
  { "outbound_connections_failed_total", "counter", "connections to next hops that failed", label = "error" },
  { "outbound_tls_total", "counter", "connections to next hops under TLS", label = "version" },
  { "outbound_tls_failed_total", "counter", "connections to next hops without the TLS that was tried or demanded", label = "step" },
  { "outbound_connections_open", "gauge", "connections to next hops that are open" },
  { "bounces_total", "counter", "notices that were sent", label = "kind" },
  { "notices_failed_total", "counter", "notices that nobody got" },

  -- the admin API
  { "control_requests_total", "counter", "requests to the admin API", label = "code" },
}
