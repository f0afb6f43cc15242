-- schema/hooks.lua - where a policy is asked, what it gets and what it may say.
--
-- hooks      decide and may wait, in the order of a session. Each is called as on.<name>(args...).
--            views     what may be read then
--            verdicts  what it may return; nil is "no opinion" everywhere
-- observers  are told; they cannot wait and cannot decide.
-- since      the policy API version that has it.

return {
  verdicts = { "accept", "reject", "defer", "disconnect", "hold", "discard" },

  hooks = {
    { name = "connect", args = { "conn" }, views = { "conn" }, since = 1,
      verdicts = { "accept", "reject", "defer", "disconnect" }, doc = "a client connected; nothing was said yet" },
    { name = "helo", args = { "conn", "name" }, views = { "conn" }, since = 1,
      verdicts = { "accept", "reject", "defer", "disconnect" }, doc = "HELO or EHLO" },
    { name = "starttls", args = { "conn" }, views = { "conn" }, since = 1,
      verdicts = { "accept", "reject", "defer", "disconnect" }, doc = "STARTTLS, or TLS from the first octet, is complete" },
    { name = "auth", args = { "conn", "attempt" }, views = { "conn" }, since = 1,
      verdicts = { "accept", "reject", "defer", "disconnect" }, doc = "the credentials were checked and are good" },
    { name = "mail", args = { "txn", "sender" }, views = { "conn", "txn" }, since = 1,
      verdicts = { "accept", "reject", "defer", "disconnect" }, doc = "MAIL FROM" },
    { name = "rcpt", args = { "txn", "rcpt" }, views = { "conn", "txn", "rcpt" }, since = 1,
      verdicts = { "accept", "reject", "defer", "disconnect" }, doc = "RCPT TO; without an accept there is no relaying" },
    { name = "data", args = { "txn" }, views = { "conn", "txn" }, since = 1,
      verdicts = { "accept", "reject", "defer", "disconnect" }, doc = "DATA or the first BDAT, before the body" },
    { name = "message", args = { "txn", "msg" }, views = { "conn", "txn", "msg" }, since = 1,
      verdicts = { "accept", "reject", "defer", "disconnect", "hold", "discard" },
      doc = "the whole message is here and not yet acknowledged" },
    { name = "route", args = { "msg", "dest" }, views = { "msg" }, since = 1,
      verdicts = { "accept", "reject", "defer", "hold" }, doc = "a recipient domain is about to be delivered to" },
  },

  observers = {
    { name = "session_closed", args = { "conn" }, views = { "conn" }, since = 1, doc = "a session ended" },
    { name = "authenticated", args = { "conn" }, views = { "conn" }, since = 1, doc = "a client is authenticated" },
    { name = "auth_failed", args = { "conn", "attempt" }, views = { "conn" }, since = 1, doc = "credentials were refused" },
    { name = "accepted", args = { "txn", "msg" }, views = { "conn", "txn", "msg" }, since = 1,
      doc = "a message is on disk and was acknowledged" },
    { name = "refused", args = { "conn", "refusal" }, views = { "conn", "txn" }, since = 1, doc = "a command was refused" },
    { name = "delivered", args = { "msg", "attempt" }, views = { "msg" }, since = 1, doc = "a recipient has the message" },
    { name = "deferred", args = { "msg", "attempt" }, views = { "msg" }, since = 1, doc = "a recipient will be tried again" },
    { name = "bounced", args = { "msg", "attempt" }, views = { "msg" }, since = 1, doc = "a recipient was given up" },
    { name = "notice_failed", args = { "msg", "attempt" }, views = { "msg" }, since = 1, doc = "a notice could not be delivered" },
    { name = "device_changed", args = { "device", "change" }, views = {}, since = 1, doc = "the registry has news about a device" },
  },
}
