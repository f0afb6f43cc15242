-- authenticated.lua - clients that have logged in may send to anybody: what comes from a cloud, from behind NAT, from a road.
--
-- auth  refuse a login that is right but comes from where it should not (only with `networks`)
-- rcpt  accept every recipient from clients that are logged in
--
-- A login proves who it is and nothing else: put rate_limits before it.

local relay = require "relay"

return relay.policy {
  name = "authenticated", api = 1,
  doc = "Accepts every recipient from clients that have logged in.",
  options = {
    users = { type = "list<string>", default = {}, doc = "who may; without it, everybody who can log in" },
    networks = { type = "list<cidr>", default = {}, doc = "from where logins count; without it, from everywhere" },
  },
  setup = function(opt)
    local known = {}
    for _, user in ipairs(opt.users) do known[user] = true end
    local networks = #opt.networks > 0 and relay.cidr.set(opt.networks) or nil
    local on = {}
    if networks then
      function on.auth(conn)
        if networks:contains(conn.remote_ip) then return nil end
        return relay.reject { code = 535, enhanced = "5.7.8", rule = "login-from-elsewhere",
          text = "Authentication credentials invalid" }
      end
    end
    function on.rcpt(txn, rcpt)
      local user = txn.conn.auth_user
      if not user or rcpt.domain == "" then return nil end
      if next(known) and not known[user] then return nil end
      if rcpt.routed_local then
        return relay.reject { code = 550, enhanced = "5.7.1", rule = "routed-recipient",
          text = "recipient names a route; write the address as user@domain" }
      end
      return relay.accept { rule = "authenticated" }
    end
    return on
  end,
}
