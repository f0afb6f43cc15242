-- What policies learn of TLS and of who logged in, and how specs say it.
local t = require "relay.testing"

-- A policy that says what the expression `text` gives in each of the hooks.
local function saying(text)
  return t.policy("p", {}, { text = ([[
    local relay = require "relay"
    return relay.policy { name = "p", api = 1, setup = function()
      local function say(conn, attempt)
        return relay.reject { rule = "x", text = (function(...)
          local out = {}
          for i = 1, select("#", ...) do out[i] = tostring((select(i, ...))) end
          return table.concat(out, " ")
        end)(%s) }
      end
      return { starttls = say, auth = say, mail = function(txn) return say(txn.conn, {}) end,
        auth_failed = function(conn, attempt)
          relay.log.info("failed",
            { user = attempt.user, mechanism = attempt.mechanism, reason = attempt.reason, code = attempt.code })
        end,
        authenticated = function(conn) relay.log.info("in", { user = conn.auth_user }) end }
    end }]]):format(text) })
end

t.describe("conn", function()
  t.it("says what is known of TLS", function()
    local p = saying "conn.tls_version, conn.tls_cipher, conn.tls_bits, conn.tls_sni, conn.tls_resumed"
    t.equal("nil nil nil nil false", p:mail({ from = "a@b.example" }).text)
    t.equal("TLSv1.2 ECDHE-RSA-AES256-GCM-SHA384 256 relay.example.edu true", p:starttls({ tls_version = "TLSv1.2",
      tls_cipher = "ECDHE-RSA-AES256-GCM-SHA384", tls_bits = 256, tls_sni = "relay.example.edu", tls_resumed = true }).text)
  end)

  t.it("says whose certificate the client has", function()
    local p = saying "conn.tls_verified, conn.tls_subject, conn.tls_common_name, conn.tls_email, conn.tls_dns_name, conn.tls_issuer"
    t.equal("false nil nil nil nil nil", p:starttls({ tls_version = "TLSv1.3" }).text)
    t.equal("true CN=copier7 copier7 c@example.edu c.example.edu CN=us", p:starttls({ tls_verified = true,
      tls_subject = "CN=copier7", tls_common_name = "copier7", tls_email = "c@example.edu", tls_dns_name = "c.example.edu",
      tls_issuer = "CN=us" }).text)
    t.equal("abcd", saying("conn.tls_fingerprint"):starttls({ tls_version = "TLSv1.3", tls_fingerprint = "abcd" }).text)
  end)

  t.it("says who logged in", function()
    local p = saying "conn.auth_user, conn.auth_mech, conn.auth_realm, attempt.user, attempt.mechanism, attempt.realm"
    t.equal("nil nil nil nil nil nil", p:mail({ from = "a@b.example" }).text)
    t.equal("copier7@EXAMPLE.EDU GSSAPI EXAMPLE.EDU copier7@EXAMPLE.EDU GSSAPI EXAMPLE.EDU",
      p:auth({ user = "copier7@EXAMPLE.EDU", mechanism = "GSSAPI", realm = "EXAMPLE.EDU" }).text)
    p = saying "conn.auth_user, conn.auth_mech, conn.auth_realm, attempt.user, attempt.mechanism, attempt.realm"
    t.equal("copier7 PLAIN nil copier7 PLAIN nil", p:auth({ user = "copier7" }).text)
  end)
end)

t.describe("observers", function()
  t.it("are told of logins that failed, and why", function()
    local p = saying "1"
    p:observe("auth_failed", { user = "copier7", mechanism = "LOGIN", reason = "expired", code = 535 })
    t.logged(p, "failed", { user = "copier7", mechanism = "LOGIN", reason = "expired", code = 535 })
  end)
end)
