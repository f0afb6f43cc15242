-- rate_limits.lua - how much a client or sender may send.
--
-- rcpt  count the message at its first recipient, and every recipient; defer what is over a limit
--
-- A limit reads "60/hour,burst=60". Counting is exact over all workers. A message that one limit refuses is counted by none. Put it
-- in front of the policies that accept.

local relay = require "relay"

return relay.policy {
  name = "rate_limits", api = 1,
  doc = "Limits messages and recipients per device, client address and sender.",
  options = {
    per_device = { type = "rate", default = "60/hour,burst=60",
      doc = "messages of a device; of its address while it is not registered" },
    per_sender = { type = "rate", doc = "messages of an envelope sender" },
    recipients_per_device = { type = "rate", doc = "recipients of a device" },
    exempt = { type = "list<cidr>", default = {}, doc = "networks that are not counted" },
    advice = { type = "string", default = "", max = 200, doc = "ends the answer: what to use for mail to many, for example" },
    on_store_failure = { type = "enum", values = { "local", "open", "closed" }, default = "local",
      doc = "what counts when the shared store is away: this node's share, everything is allowed, nothing is" },
  },
  setup = function(opt)
    local exempt = relay.cidr.set(opt.exempt)
    local on = {}

    local function limit(kind, who, rate)
      return { key = kind .. ":" .. relay.text.lower(who):sub(1, 200), rate = rate, on_store_failure = opt.on_store_failure,
        who = who, what = kind:match("^%a+") }
    end

    local function over(l, answer)
      if answer.source == "failed" then
        return relay.defer { code = 451, enhanced = "4.3.0", rule = "rate-limit-unknown",
          text = "what was sent cannot be counted now; try again later" }
      end
      return relay.defer { code = 450, enhanced = "4.7.1", rule = "rate-limit",
        text = ("%s: %s are over the limit of %s; free in %d s%s"):format(l.who, l.what, l.rate, answer.retry_after or 0,
          opt.advice ~= "" and "; " .. opt.advice or "") }
    end

    -- All of them, or none and a verdict.
    local function take(limits)
      for i, l in ipairs(limits) do
        local answer = relay.limit.take(l)
        if not answer.allowed then
          for k = 1, i - 1 do relay.limit.refund(limits[k]) end
          return over(l, answer)
        end
      end
    end

    function on.rcpt(txn)
      local conn, sender = txn.conn, txn.sender.address
      if exempt:contains(conn.remote_ip) then return nil end
      local device = conn.device or conn.remote_ip
      if not txn.vars.counted then
        local limits = { limit("messages:device", device, opt.per_device) }
        if opt.per_sender and sender ~= "" then limits[2] = limit("messages:sender", sender, opt.per_sender) end
        local refusal = take(limits)
        if refusal then return refusal end
        txn.vars.counted = true
      end
      return opt.recipients_per_device and take { limit("recipients:device", device, opt.recipients_per_device) } or nil
    end
    return on
  end,
}
