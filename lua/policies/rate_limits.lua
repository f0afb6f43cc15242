-- rate_limits.lua - how much a client or sender may send.
--
-- rcpt  count the message at its first recipient, and every recipient; defer what is over a limit
--
-- A limit reads "60/hour,burst=60". Counting is exact over all workers. Put it in front of the policies that accept.

local relay = require "relay"

local function over(who, what, rate, retry_after)
  return relay.defer { code = 450, enhanced = "4.7.1", rule = "rate-limit",
    text = ("%s: limit of %s %s reached; %s"):format(who, rate, what,
      retry_after and ("free in %d s"):format(retry_after) or "this is more than it allows at once") }
end

return relay.policy {
  name = "rate_limits", api = 1,
  doc = "Limits messages and recipients per device, client address and sender.",
  options = {
    per_device = { type = "rate", default = "60/hour,burst=60",
      doc = "messages of a device; of its address while it is not registered" },
    per_sender = { type = "rate", doc = "messages of an envelope sender" },
    recipients_per_device = { type = "rate", doc = "recipients of a device" },
    exempt = { type = "list<cidr>", default = {}, doc = "networks that are not counted" },
    on_store_failure = { type = "enum", values = { "local", "open", "closed" }, default = "local",
      doc = "what counts when the shared store is away: this node's share, everything is allowed, nothing is" },
  },
  setup = function(opt)
    local exempt = relay.cidr.set(opt.exempt)
    local on = {}

    local function take(kind, who, rate)
      return relay.limit.take { key = kind .. ":" .. who:sub(1, 200), rate = rate, on_store_failure = opt.on_store_failure }
    end

    local function count_message(txn, device)
      local answer = take("messages:device", device, opt.per_device)
      if not answer.allowed then return over(device, "messages", opt.per_device, answer.retry_after) end
      local sender = txn.sender.address
      if opt.per_sender and sender ~= "" then
        answer = take("messages:sender", sender, opt.per_sender)
        if not answer.allowed then return over(sender, "messages", opt.per_sender, answer.retry_after) end
      end
      txn.vars.counted = true
    end

    function on.rcpt(txn)
      local conn = txn.conn
      if exempt:contains(conn.remote_ip) then return nil end
      local device = conn.device or conn.remote_ip
      if not txn.vars.counted then
        local refusal = count_message(txn, device)
        if refusal then return refusal end
      end
      if opt.recipients_per_device then
        local answer = take("recipients:device", device, opt.recipients_per_device)
        if not answer.allowed then return over(device, "recipients", opt.recipients_per_device, answer.retry_after) end
      end
    end
    return on
  end,
}
