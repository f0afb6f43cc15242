-- lua/lib/postern/config/security.lua - TLS and authentication of listeners: what depends on several options.

local types = require "postern.config.types"

local M = {}

-- The certificates of the file, as types.lua has those of listeners.
function M.check_top(checker, top, values, place)
  if values.tls == nil then return end
  if top.tls then
    local where = checker.report:inside(place, values, "tls")
    checker.subject = "tls."
    types.join_certs(checker, top.tls, values.tls, where)
    if values.tls.cert == nil and values.tls.certs == nil and values.tls.key == nil then
      checker.report:problem(where, "tls.cert is missing: the certificate")
    end
    checker.subject = ""
  end
  checker.lacks_certs = not (top.tls and top.tls.certs) -- that was said
end

local OLD = { ["1.0"] = true, ["1.1"] = true }

local function check_tls(checker, subject, plain, place)
  local tls, problems = plain.tls, checker.report
  if tls.from and tls.mode ~= "required" then
    problems:problem(place, "%stls.from: is for mode = \"required\"", subject)
  end
  if tls.mode == "off" and tls.sniff ~= "serve" then return end
  if not tls.certs and tls.mode and not checker.lacks_certs then
    problems:problem(place, "%stls: there is no certificate; write tls = { cert = \"chain.pem\", key = \"key.pem\" }", subject)
  end
  if tls.client_cert and tls.client_cert ~= "none" and not tls.client_ca then
    problems:problem(place, "%stls.client_ca is missing: who signs the certificates of clients", subject)
  end
  if OLD[tls.min] and #((plain.clients or {}).networks or {}) == 0 then
    problems:warning(place, "%stls.min: TLS %s for everybody; name the networks of the old devices in clients.networks", subject,
      tls.min)
  end
end

-- What each backend of `auth` needs besides its name.
local NEEDS = { kerberos = "kerberos", gssapi = "kerberos", sasldb = "sasldb", saslauthd = "saslauthd" }

local function check_auth(problems, subject, plain, root, place, body)
  local auth = plain.auth or {}
  local where = problems:inside(place, body, "auth")
  for _, name in ipairs(auth) do
    if NEEDS[name] and not root[NEEDS[name]] then
      problems:problem(where, "%sauth: %q wants %s = { ... } in the file", subject, name, NEEDS[name])
    end
    if name == "external" and (not plain.tls or plain.tls.client_cert == "none") then
      problems:problem(where, "%sauth: \"external\" wants tls.client_cert = \"ask\" or \"require\"", subject)
    end
  end
  if #auth > 0 and plain.tls and plain.tls.mode == "off" and #(plain.auth_clear_from or {}) == 0 then
    problems:problem(where, "%sauth: nobody could, without TLS; give the listener tls, or name networks in auth_clear_from",
      subject)
  end
  if #auth == 0 and plain.auth_required and body.auth == nil then
    problems:problem(problems:inside(place, body, "auth_required"), "%sauth_required: auth is empty, so nobody could send", subject)
  end
  if #auth > 0 and plain.tls and plain.tls.mode == "required" and #(plain.auth_clear_from or {}) > 0 and not plain.tls.from then
    problems:warning(problems:inside(place, body, "auth_clear_from"),
      "%sauth_clear_from: tls is required, so nobody gets as far as AUTH in clear", subject)
  end
end

-- @item: what was said of the listener; @plain: what it is.
function M.check_listener(checker, item, plain, subject)
  local place, problems, root = item.place, checker.report, checker.root
  if plain.tls == nil and item.body.tls == nil then
    plain.tls = checker:check_scope("listener_tls", { mode = root.tls and "optional" or "off" }, place, subject .. "tls.")
  end
  if plain.tls then
    local given = type(item.body.tls) == "table" and item.body.tls or {}
    checker.subject = subject .. "tls."
    types.join_certs(checker, plain.tls, given, problems:inside(place, item.body, "tls"))
    checker.subject = ""
  end
  if plain.tls then check_tls(checker, subject, plain, problems:inside(place, item.body, "tls")) end
  check_auth(problems, subject, plain, root, place, item.body)
end

return M
