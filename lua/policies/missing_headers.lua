-- missing_headers.lua - adds what devices forget: large mail systems refuse messages without Date, Message-ID or From.
--
-- message  add the missing fields, drop doubled ones (the first stays), note it in the log
--
-- A message that a signature covers is not touched: what it has is what its sender signed.

local relay = require "relay"

local MENDABLE = { "no_date", "no_message_id", "no_from", "duplicate" }

return relay.policy {
  name = "missing_headers", api = 1,
  doc = "Adds Date, Message-ID and From where they are missing; drops doubled fields.",
  options = {
    mend = { type = "list<enum>", values = { "no_date", "no_message_id", "no_from", "bad_date", "bad_message_id", "duplicate" },
      default = MENDABLE, doc = "which faults are mended" },
    from = { type = "address", doc = "From of messages without one; left out: the envelope sender" },
    networks = { type = "list<cidr>", default = {}, doc = "only for these clients; empty: all" },
  },
  setup = function(opt)
    local networks = #opt.networks > 0 and relay.cidr.set(opt.networks)
    local on = {}
    function on.message(txn, msg)
      if networks and not networks:contains(txn.conn.remote_ip) then return nil end
      if msg:count("DKIM-Signature") > 0 then return nil end
      local sender = txn.sender.address
      local mended = msg:mend { wanted = opt.mend, from = opt.from or (sender ~= "" and sender) or nil }
      local names = {}
      for name in pairs(mended) do names[#names + 1] = name end
      table.sort(names)
      if #names > 0 then
        txn:log("info", "headers_mended", { faults = table.concat(names, " ") })
      end
    end
    return on
  end,
}
