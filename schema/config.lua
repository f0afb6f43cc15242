-- schema/config.lua - every option of the configuration file: the source of truth.
--
-- lua/lib/postern/config.lua checks a configuration against this table, server/main/ makes structs of what it lets through, and the
-- build writes the operators' table of options (config.md) from it.
--
-- scopes   where options stand: { doc =, options = { ... } }; `top` is the file itself, the others are the tables and words in it.
-- option   { name, type, doc [, default =] [, min =, max =] [, more] }
--            default       as an operator would write it; "from" another option: { from = "queue.retry" }
--            required      there is no default and it must be given
--            min, max      of the number, size, duration, length of a text or a list
--            otherwise     behind from: when there is none there
--            restart       a change takes effect when the server is started anew; a reload with it is refused
--            refuse        { [value] = "why this version does not take it" }, [1] for all values but the default
-- types    what a value may be; see the functions of lua/lib/postern/config/types.lua, one for each
--            string boolean integer      Lua's own
--            size        octets: 500, "256KiB", "25MB" (KB MB GB: powers of 1000; KiB MiB GiB: of 1024)
--            duration    "90s", "1h30m", "5d"; units ms s m h d w
--            durations   "5m,15m,1h" or { "5m", "15m", "1h" }
--            rate        "60/hour", "100/15min,burst=20"
--            endpoints   "192.0.2.1:25", "[::]:25", one or a list; port 0 is any that is free
--            servers     as endpoints; port 53 may be left out
--            hosts       "[smtp.example.org]:587", one or a list, or { host = "[a.example]", weight = 3 }; without a port 25
--            addresses networks domains  "192.0.2.1"; "192.0.2.0/24"; "example.org": one or a list
--            domain url path mailbox
--            enum        one of `words`; words: any of them, as a list; `all` is all of them where the option says so
--            realms      of Kerberos: one or a list
--            time        "2026-12-01", "2026-12-01T08:00:00Z"; seconds since 1970
--            certs       { cert = "chain.pem", key = "key.pem" }, or a list of such; key may be in cert
--            uses        what `use` returns, a list
--            profile     the name of a profile
--            names       of certificates: "mx.example.org", ".example.org" for one label below it; one or a list
--            shorthand   as table; or its option `word` alone: tls = "verify" is tls = { level = "verify" }
--            table       a table with the options of the scope `scope`; tables: one, or a list of them
--                        `optional`: without it there is none, not even one of defaults
--            named_tables  { ["example.org"] = { ... } }: such tables by name; `key` is the type of the names
--            secret      what `secret "name"` returns

local log_levels = require "schema.log_events".levels

-- server/smtp/smtp_syntax.h and smtp_ehlo.h have the meaning of these; tests/unit/main/test_config.c holds them equal.
local lax = { "space", "brackets", "trailing-dot", "underscore", "unqualified", "dots", "long", "literal", "helo", "argument" }
local offered = { "PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME", "ENHANCEDSTATUSCODES",
  "DSN", "DELIVERBY",
  "ETRN", "HELP", "STARTTLS", "REQUIRETLS", "AUTH" }
local used = { "PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME", "ENHANCEDSTATUSCODES", "DSN", "DELIVERBY" }

local server_mechanisms = { "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "GSSAPI", "EXTERNAL", "PLAIN", "LOGIN" }
local backends = { "kerberos", "users", "sasldb", "saslauthd", "gssapi", "external" }

-- Of the file, and of a listener, which has those of the file where it says nothing.
local function tls_options(of_listener)
  local function default(name, otherwise)
    if of_listener then return { from = "tls." .. name, otherwise = otherwise } end
    return otherwise
  end
  return {
    { "cert", "path", "certificate and what it is signed by, in PEM; the key may be in the same file" },
    { "key", "path", "its key, in PEM and not encrypted" },
    { "certs", "certs", "several of them, for names or kinds of keys; instead of cert and key",
      default = of_listener and { from = "tls.certs" } or nil, min = 1, max = 32 },
    { "min", "enum", "oldest version; below 1.2 wants security_level = 0", words = { "1.0", "1.1", "1.2", "1.3" },
      default = default("min", "1.2") },
    { "max", "enum", "newest version; without it, the newest there is", words = { "1.0", "1.1", "1.2", "1.3" },
      default = default("max") },
    { "ciphers", "string", "OpenSSL's list for TLS 1.2 and older; without it, ours", max = 2000, default = default("ciphers") },
    { "ciphersuites", "string", "of TLS 1.3; without it, OpenSSL's", max = 500, default = default("ciphersuites") },
    { "security_level", "integer", "OpenSSL's; without it, its default", min = 0, max = 5, default = default("security_level") },
    { "client_cert", "enum", "is a client asked for a certificate, and must it have one", words = { "none", "ask", "require" },
      default = default("client_cert", "none") },
    { "client_ca", "path", "who signs those, in PEM", default = default("client_ca") },
    { "session_lifetime", "duration", "for which a client may resume a session; 0s: never", min = "0s", max = "7d",
      default = default("session_lifetime", "2h") },
  }
end

local scopes = {}

scopes.top = {
  doc = "the file itself: `name = value`",
  options = {
    { "hostname", "domain", "the name of this relay: its greeting, EHLO, Received, notices", required = true },
    { "data_dir", "path", "where mail and state are kept", default = "/var/lib/postern", restart = true },
    { "control", "path", "socket of the admin API, which the command line talks to; \"off\"",
      default = "/run/postern/control.sock", off = true, restart = true },
    { "user", "string", "whom the server becomes once its sockets are bound; without it, it stays who it is", min = 1, max = 64,
      restart = true },
    { "group", "string", "likewise; without it, that of the user", min = 1, max = 64, restart = true },
    { "workers", "integer", "threads that serve; without it, one per core", min = 1, max = 256, restart = true },
    { "secrets_dir", "path", "where the files of `secret` are, besides $CREDENTIALS_DIRECTORY; relative to this file",
      default = "secrets" },
    { "help_url", "url", "page for people whose mail was refused; in every refusal" },
    { "help_text", "string", "who helps: in HELP and in notices", max = 400 },
    { "notice_from", "mailbox", "author of notices; without it, postmaster of hostname" },
    { "postmaster", "mailbox", "who gets mail for <postmaster>, without a domain or at hostname (RFC 5321 section 4.5.1); it needs "
      .. "no policy's accept. Without it such mail is refused unless a policy accepts it" },
    { "names", "domains", "other names of this host: mail for a domain whose best MX host is one of them would loop",
      default = {} },
    { "addresses", "networks", "other addresses of this host: those of a load balancer or behind NAT; likewise", default = {} },
    { "message_size", "size", "largest message", default = "25MB", min = "64KiB", max = "4GiB" },
    { "state", "string", "the shared store", refuse = { "this version keeps its state in the node itself; remove state =" } },
    { "tls", "table", "certificate and key, and how they are used", scope = "tls", optional = true },
    { "kerberos", "table", "passwords of Kerberos principals, and GSSAPI", scope = "kerberos", optional = true },
    { "users", "table", "Postern's own file of users", scope = "users" },
    { "sasldb", "table", "a file of saslpasswd2", scope = "sasldb", optional = true },
    { "saslauthd", "table", "the daemon of that name", scope = "saslauthd", optional = true },
    { "dkim", "tables",
      "keys that mail is signed with: { domain =, selector =, key = }, one or a list; of several of a domain each signs",
      scope = "dkim", default = {}, max = 1000 },
    { "log", "table", "what is logged, and how", scope = "log" },
    { "dns", "table", "the resolver", scope = "dns", restart = true },
    { "mta_sts", "table", "where MTA-STS policies come from", scope = "mta_sts", restart = true },
    { "queue", "table", "when mail is tried again and when it is given up", scope = "queue" },
    { "delivery", "table", "outbound connections", scope = "delivery" },
    { "spool", "table", "where mail waits", scope = "spool", restart = true },
    { "limits", "table", "what a policy may spend", scope = "limits", restart = true },
  },
}

scopes.dkim = {
  doc = "`dkim = { ... }`: mail from this domain, and from those below it that have no key themselves, is signed with it; all "
    .. "other mail by the default domain",
  options = {
    { "domain", "domain", "who signs (d=)", required = true },
    { "selector", "string", "names the key in the DNS: selector._domainkey.domain", required = true, min = 1, max = 63 },
    { "key", "path", "file with the private key, RSA or Ed25519, in PEM form; `postern dkim keygen` makes one", required = true },
    { "default", "boolean", "this domain signs mail of domains without a key; without any, that of the first key does",
      default = false },
  },
}

scopes.mta_sts = {
  doc = "`mta_sts = { ... }`: for routes with tls = \"sts\"",
  options = {
    { "ca", "path", "certificate authorities of the web servers; without it, the system's" },
    { "port", "integer", "of the web servers", default = 443, min = 1, max = 65535 },
    { "domains_max", "integer", "whose policies are kept, by each worker", default = 10000, min = 1, max = 1000000 },
  },
}

scopes.log = {
  doc = "`log = { ... }`",
  options = {
    { "format", "enum", "one JSON object a line, or lines as Postfix writes them", words = { "json", "postfix" },
      default = "json" },
    { "level", "enum", "the least important records that are written", words = log_levels, default = "info" },
    { "subject", "boolean", "the subject of messages is logged, which may be private", default = false },
  },
}

scopes.dns = {
  doc = "`dns = { ... }`",
  options = {
    { "servers", "servers", "name servers; without it, those of /etc/resolv.conf", min = 1, max = 8 },
    { "timeout", "duration", "for one server's answer", default = "2s", min = "100ms", max = "30s" },
    { "tries", "integer", "rounds over all servers", default = 2, min = 1, max = 5 },
    { "deadline", "duration", "for a question as a whole", default = "8s", min = "500ms", max = "1m" },
    { "questions", "integer", "questions of a worker that are open at a time", default = 2000, min = 10, max = 100000 },
    { "trust_ad", "boolean",
      "the servers validate DNSSEC and the way to them is safe: believe what they say about it", default = false },
    { "cache_entries", "integer", "answers that a worker keeps", default = 20000, min = 100, max = 1000000 },
    { "cache_memory", "size", "octets of them", default = "8MiB", min = "64KiB", max = "1GiB" },
    { "stale", "duration", "how long after its end an answer may be used when nobody gives a newer one",
      default = "6h", min = "0s", max = "7d" },
  },
}

scopes.queue = {
  doc = "`queue = { ... }`",
  options = {
    { "retry", "durations", "the waits between attempts; the last one repeats", default = "5m,15m,30m,1h,2h,4h",
      min = "1s", max = "1d", most = 16 },
    { "jitter", "integer",
      "percent by which each wait is made longer at random, so that what came together does not come back together",
      default = 10, min = 0, max = 100 },
    { "lifetime", "duration", "mail that could not be delivered for this long is returned", default = "5d",
      min = "1m", max = "30d" },
    { "bounce_lifetime", "duration", "likewise, of notices", default = "1d", min = "1m", max = "30d" },
    { "delay_notice", "durations", "ages at which a sender is told that it takes long; \"none\"", default = "4h",
      min = "1m", max = "30d",
      most = 4, none = true, ascending = true },
    { "dest_idle", "duration", "a destination without work is forgotten after this", default = "10m", min = "10s", max = "1d",
      restart = true },
    { "recipients_max", "integer", "recipients of one outbound transaction", default = 100, min = 1, max = 1000, restart = true },
    { "memory", "size", "messages kept in memory until their first attempt ended; all workers together",
      default = "16MiB", min = "1MiB",
      max = "64GiB", restart = true },
  },
}

scopes.delivery = {
  doc = "`delivery = { ... }`",
  options = {
    { "connections", "integer", "outbound connections; all workers together", default = 500, min = 1, max = 20000 },
  },
}

scopes.spool = {
  doc = "`spool = { ... }`",
  options = {
    { "segment_size", "size", "of a file of the log that mail is kept in", default = "64MiB", min = "1MiB", max = "1GiB" },
    { "small_max", "size", "larger messages get files of their own", default = "256KiB", min = "4KiB", max = "16MiB" },
    { "memory", "size", "message bodies in memory; all workers together", default = "256MiB", min = "1MiB", max = "64GiB" },
    { "free_min", "size", "with less room on the disk no message is begun (452)", default = "128MiB", min = "1MiB",
      max = "1TiB" },
    { "free_alarm", "size", "with less room on the disk the log says so", default = "1GiB", min = "1MiB", max = "10TiB" },
    { "lazy_commit", "duration", "outcomes of deliveries are on the disk after this at the latest", default = "50ms", min = "1ms",
      max = "10s" },
    { "spare_segments", "integer", "emptied files that a worker keeps for use", default = 4, min = 0, max = 64 },
  },
}

scopes.limits = {
  doc = "`limits = { ... }`",
  options = {
    { "instructions", "integer", "of Lua, of one policy in one hook", default = 2000000, min = 10000, max = 1000000000 },
    { "compute", "duration", "processor time, likewise", default = "50ms", min = "1ms", max = "10s" },
    { "wait", "duration", "waiting for answers, likewise", default = "5s", min = "10ms", max = "5m" },
    { "memory", "size", "of a worker's policies", default = "64MiB", min = "4MiB", max = "2GiB" },
    { "setup_instructions", "integer", "of loading a policy and its setup()", default = 50000000, min = 100000,
      max = 10000000000 },
  },
}

scopes.tls = {
  doc = "`tls = { ... }`: what clients are served with. The files are looked at every second; new connections get what is "
    .. "new, open ones stay as they are",
  options = tls_options(false),
}

scopes.listener_tls = {
  doc = "`tls = { ... }` of a listener; `tls = \"optional\"` is short for `tls = { mode = \"optional\" }`",
  options = tls_options(true),
}
table.insert(scopes.listener_tls.options, 1,
  { "mode", "enum", "no TLS; STARTTLS for who wants; STARTTLS before mail; TLS from the first octet",
    words = { "off", "optional", "required", "implicit" }, default = "optional" })
table.insert(scopes.listener_tls.options, 2,
  { "from", "time", "of required: until then it is counted and logged whom it would refuse" })
table.insert(scopes.listener_tls.options, 3,
  { "sniff", "enum", "who speaks TLS without STARTTLS is logged and sent away, or logged and served; then the greeting waits 0.3 s",
    words = { "log", "serve" }, default = "log" })

scopes.kerberos = {
  doc = "`kerberos = { ... }`",
  options = {
    { "keytab", "path", "key of the service", required = true },
    { "realm", "string", "of the users; without it, the default realm of krb5.conf", min = 1, max = 255 },
    { "service", "string", "the service whose key the keytab has; without it, smtp/ and hostname", min = 1, max = 255 },
    { "krb5_conf", "path", "without it, where libkrb5 looks" },
    { "allow", "string", "extended regular expression for the names of users, without realm; without it, all", min = 1, max = 500 },
    { "realms", "realms", "others whose users may come by GSSAPI", default = {}, max = 16 },
    { "replay_cache", "string", "of GSSAPI, as libkrb5 names them; without it, the library's choice", min = 1, max = 255 },
    { "timeout", "duration", "for a KDC's answer; then clients are told to come again", default = "5s", min = "1s", max = "1m" },
    { "threads", "integer", "that wait for a KDC", default = 8, min = 1, max = 64 },
    { "queue", "integer", "logins that wait for a thread", default = 512, min = 1, max = 10000 },
    { "remember", "duration", "a password that was right; 0s: not", default = "5m", min = "0s", max = "5m" },
    { "remember_wrong", "duration", "one that was wrong, so that a stale device does not lock its account; 0s: not",
      default = "45s", min = "0s", max = "5m" },
  },
}

scopes.users = {
  doc = "`users = { ... }`; `postern user` writes the file",
  options = {
    { "file", "path", "where they are", default = "/etc/postern/users" },
  },
}

scopes.sasldb = {
  doc = "`sasldb = { ... }`: Cyrus SASL keeps these passwords in clear; `postern user import-sasldb` moves them",
  options = {
    { "path", "path", "the file", default = "/etc/sasldb2" },
    { "realm", "string", "of users that name none, as given to saslpasswd2 -u; without it, hostname", min = 1, max = 255,
      default = { from = "hostname" } },
    { "appname", "string", "as given to saslpasswd2 -a: to warn about another file that its configuration names",
      min = 1, max = 64 },
  },
}

scopes.saslauthd = {
  doc = "`saslauthd = { ... }`",
  options = {
    { "socket", "path", "its socket", default = "/run/saslauthd/mux" },
    { "realm", "string", "that it is told for users that name none", min = 1, max = 255 },
    { "service", "string", "that it is told", min = 1, max = 64, default = "smtp" },
  },
}

scopes.auth_failures = {
  doc = "`auth_failures = { ... }` of a listener: what follows failed logins. The same user with the same wrong password from one "
    .. "address counts once",
  options = {
    { "per_connection", "integer", "then the connection ends", default = 3, min = 1, max = 100 },
    { "delay", "duration", "before the first refusal; each one doubles it, up to 10s", default = "1s", min = "0s", max = "10s" },
    { "per_address", "integer", "different ones that ban an address; 0: none do", default = 5, min = 0, max = 100 },
    { "per_user", "integer", "different ones that ban a user, but from where it got in lately; 0: none do", default = 20, min = 0,
      max = 100 },
    { "within", "duration", "this time", default = "10m", min = "10s", max = "1d" },
    { "ban", "duration", "for which they are turned away", default = "10m", min = "10s", max = "30d" },
    { "never", "networks", "who is never banned", default = {} },
  },
}

scopes.listener = {
  doc = "`listener \"name\" { ... }`: addresses where mail is taken, and by which rules",
  options = {
    { "bind", "endpoints", "addresses and ports", required = true, min = 1, max = 16, restart = true },
    { "policies", "uses", "what is asked, in this order; without an accept of one of them no recipient is taken", default = {} },
    { "profile", "profile", "what is tolerated from everybody here" },
    { "hostname", "domain", "its name here", default = { from = "hostname" } },
    { "postmaster", "mailbox", "see above", default = { from = "postmaster" } },
    { "greeting", "string", "behind the name in the 220", default = "ESMTP", max = 200 },
    { "help_url", "url", "page for people whose mail was refused here", default = { from = "help_url" } },
    { "help_text", "string", "who helps them", max = 400, default = { from = "help_text" } },
    { "message_size", "size", "largest message", default = { from = "message_size" }, min = "64KiB", max = "4GiB" },
    { "head_size", "size", "largest header section", default = "256KiB", min = "16KiB", max = "4MiB" },
    { "line_max", "integer", "octets of a line of a message", default = 16384, min = 1000, max = 1048576 },
    { "recipients_max", "integer", "recipients of a transaction; what comes after them gets 452", default = 100,
      min = 1, max = 10000 },
    { "messages_max", "integer", "messages of a connection", default = 1000, min = 1, max = 1000000 },
    { "errors_max", "integer", "refused commands before the connection ends", default = 20, min = 1, max = 1000 },
    { "idle_commands_max", "integer", "commands in a row that move no mail", default = 100, min = 5, max = 10000 },
    { "hops_max", "integer", "Received fields of a message; more is a loop", default = 100, min = 10, max = 1000 },
    { "own_hops_max", "integer", "of them our own", default = 4, min = 1, max = 100 },
    { "clients", "table", "connections", scope = "clients" },
    { "timeouts", "table", "how long is waited", scope = "timeouts" },
    { "hide", "words", "extensions that are not offered", words = offered, default = {} },
    { "greet_delay", "duration", "wait before the greeting, to catch who does not", default = "0s", min = "0s", max = "30s" },
    { "early_talkers", "enum", "who speaks before the greeting is refused, or noted for the policies",
      words = { "refuse", "note" },
      default = "refuse" },
    { "refuse_at", "enum",
      "when the refusal of a connection, HELO or sender is said: at RCPT, so that the log has all of them, or at once",
      words = { "rcpt", "now" }, default = "rcpt" },
    { "reverse_dns", "boolean", "the client's name is looked up and confirmed", default = true },
    { "reverse_timeout", "duration", "for that", default = "5s", min = "100ms", max = "30s" },
    { "proxy_from", "networks", "load balancers that say who the client is, by the PROXY protocol", default = {} },
    { "dkim_sign", "boolean", "mail is signed, if there are keys (dkim)", default = true },
    { "dkim_verify", "boolean",
      "signatures and ARC chain of what comes in are verified: for policies (msg.dkim) and as Authentication-Results",
      default = false },
    { "dkim_timeout", "duration", "for the keys of a message", default = "5s", min = "100ms", max = "1m" },
    { "arc_seal", "boolean", "what was found is sealed (ARC), with an RSA key of the default domain; wants dkim_verify",
      default = false },
    { "etrn_from", "networks", "who may start the queue for a domain (ETRN)", default = {} },
    { "deliver_by_min", "duration", "the shortest DELIVERBY deadline that is taken", default = "0s", min = "0s", max = "30d" },
    { "tls", "shorthand", "how clients are protected; without it, optional if the file has `tls`, else off",
      scope = "listener_tls", word = "mode", optional = true },
    { "auth", "words", "how clients may authenticate: where passwords are looked up, in this order, GSSAPI, client certificates",
      words = backends, default = {} },
    { "auth_mechanisms", "words", "of SASL; without it, all that can work", words = server_mechanisms, min = 1 },
    { "auth_required", "boolean", "mail is taken from authenticated clients only", default = false },
    { "auth_clear_from", "networks", "who may authenticate without TLS", default = {} },
    { "auth_old_clients", "boolean", "a line AUTH= too, for clients of about 1998", default = false },
    { "auth_timeout", "duration", "for the places where passwords are looked up", default = "10s", min = "1s", max = "1m" },
    { "auth_failures", "table", "what follows failed logins", scope = "auth_failures" },
    { "relay_for_everyone", "enum",
      "\"acknowledged\": policies here may relay for the whole Internet; without it such a listener does not start",
      words = { "acknowledged" } },
  },
}

scopes.clients = {
  doc = "`clients = { ... }` of a listener",
  options = {
    { "per_client", "integer", "connections of one address (of a /64 with IPv6), over all listeners", default = 100,
      min = 1, max = 100000 },
    { "total", "integer", "connections of the listener", default = 2000, min = 1, max = 1000000 },
    { "networks", "networks", "who may connect; without it, everybody", default = {} },
  },
}

scopes.timeouts = {
  doc = "`timeouts = { ... }` of a listener",
  options = {
    { "command", "duration", "for the next command (RFC 5321 section 4.5.3.2.7: 5 minutes)", default = "5m",
      min = "1s", max = "1h" },
    { "data", "duration", "for the next piece of a message", default = "5m", min = "1s", max = "1h" },
    { "message", "duration", "for a whole message", default = "1h", min = "10s", max = "1d" },
    { "tls", "duration", "for a TLS handshake", default = "30s", min = "1s", max = "5m" },
  },
}

scopes.profile = {
  doc = "`profile \"name\" { ... }`: what is tolerated from clients that a policy or a listener gives it",
  options = {
    { "lax", "words", "departures from the grammar that are forgiven", words = lax, all = true, default = {} },
    { "newlines", "enum", "bare CR and LF in a message are refused, or become CRLF",
      words = { "refuse", "normalise" }, default = "refuse" },
    { "nul", "boolean", "NUL octets in a message pass", default = false },
    { "early", "boolean", "talking before the greeting is no offence", default = false },
    { "auth_old_clients", "boolean", "a line AUTH= too, for clients of about 1998", default = false },
    { "hide", "words", "extensions that are not offered to it", words = offered, default = {} },
  },
}

scopes.route = {
  doc = "`route \"example.org\" { ... }`: where mail for a domain goes; \".example.org\" is all below it, \"*\" all else; "
    .. "`route { \"a.example\", \"b.example\" } { ... }` is for several",
  options = {
    { "name", "string", "for people and policies; without it, the first domain", min = 1, max = 100 },
    { "via", "hosts", "these hosts, whatever the MX records say; without it, the MX hosts of the domain", min = 1, max = 16 },
    { "port", "integer", "of MX hosts", default = 25, min = 1, max = 65535 },
    { "tls", "shorthand", "how the connections are protected; without it, may, or verify if we authenticate there",
      scope = "route_tls", word = "level" },
    { "auth_unverified", "boolean", "our password may go to a server that was not verified, even in the clear", default = false },
    { "auth", "table", "how we log in there", scope = "credential", optional = true },
    { "auth_by_sender", "named_tables", "how we log in for mail from senders of a domain; all others by `auth`",
      scope = "credential", key = "domain", max = 1000 },
    { "retry", "durations", "see queue", default = { from = "queue.retry" }, min = "1s", max = "1d", most = 16 },
    { "jitter", "integer", "see queue", default = { from = "queue.jitter" }, min = 0, max = 100 },
    { "lifetime", "duration", "see queue", default = { from = "queue.lifetime" }, min = "1m", max = "30d" },
    { "bounce_lifetime", "duration", "see queue", default = { from = "queue.bounce_lifetime" }, min = "1m", max = "30d" },
    { "delay_notice", "durations", "see queue", default = { from = "queue.delay_notice" }, min = "1m", max = "30d", most = 4,
      none = true, ascending = true },
    { "connections", "integer", "open at a time to one destination; all workers together", default = 20, min = 1, max = 10000 },
    { "messages_per_connection", "integer", "0: no limit", default = 100, min = 0, max = 1000000 },
    { "rate", "rate", "of messages to one destination; without it, no limit" },
    { "families", "enum", "which addresses are tried, and first", words = { "ipv6_first", "ipv4_first", "ipv4_only",
      "ipv6_only" },
      default = "ipv6_first" },
    { "source", "addresses", "our address, at most one of each family; without it, the system chooses", max = 2 },
    { "hide", "words", "extensions that are not used", words = used, default = {} },
    { "helo_only", "boolean", "HELO instead of EHLO, for servers that are confused by it", default = false },
    { "connect_timeout", "duration", "for one address", default = "30s", min = "1s", max = "5m" },
    { "idle_timeout", "duration", "an unused connection is kept for this long", default = "10s", min = "0s", max = "5m" },
    { "timeout_percent", "integer", "of the reply deadlines of RFC 5321 section 4.5.3.2", default = 100, min = 1, max = 1000 },
  },
}

-- server/auth/auth_credential.h has the order in which they are preferred.
local mechanisms = { "SCRAM-SHA-256-PLUS", "GSSAPI", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2", "PLAIN", "LOGIN" }

scopes.credential = {
  doc = "`auth = { ... }` of a route, and each in `auth_by_sender`",
  options = {
    { "user", "string", "the name to log in with; only GSSAPI can do without", min = 1, max = 255 },
    { "act_as", "string", "the name to act as, where that is another one", min = 1, max = 255 },
    { "password", "secret", "its password" },
    { "token", "table", "an OAuth access token instead of a password", scope = "token", optional = true },
    { "gssapi", "table", "a Kerberos ticket instead of a password", scope = "gssapi_client", optional = true },
    { "mechanisms", "words", "only these; without it, the strongest that the server offers and that can work",
      words = mechanisms, default = {} },
  },
}

scopes.token = {
  doc = "`token = { ... }`: where access tokens come from (RFC 6749)",
  options = {
    { "provider", "enum", "whose endpoint and errors these are: it fills in url and scope",
      words = { "microsoft", "google", "other" }, default = "other" },
    { "tenant", "string", "Microsoft: id or domain of the tenant", min = 1, max = 255 },
    { "url", "url", "of the token endpoint; without it, the provider's" },
    { "client_id", "string", "of the registered application", required = true, min = 1, max = 1000 },
    { "client_secret", "secret", "its secret" },
    { "refresh_token", "secret", "the tokens are by this one (a person's mailbox); without it, by the client's own right" },
    { "keep_refresh_token", "boolean", "when the provider gives another refresh token, it is written into the file of the old one",
      default = false },
    { "scope", "string", "what is asked for; without it, as the provider has it for SMTP", max = 1000 },
    { "basic", "boolean", "client_id and client_secret go in an Authorization field instead of the form", default = false },
    { "ca", "path", "certificates of the CA of the endpoint (PEM); without it, the system's" },
    { "proxy", "url", "HTTP proxy on the way to the endpoint; without it none, whatever the environment says" },
    { "timeout", "duration", "for an answer of the endpoint", default = "20s", min = "1s", max = "2m" },
  },
}

scopes.gssapi_client = {
  doc = "`gssapi = { ... }` of a credential: with which ticket; of keytab and ccache, one",
  options = {
    { "keytab", "path", "keys to get tickets with" },
    { "principal", "string", "who we are; without it, the first of the keytab", min = 1, max = 255 },
    { "ccache", "string", "a credential cache that somebody else keeps filled: \"FILE:/run/postern/ccache\"",
      min = 1, max = 500 },
    { "realm", "string", "of the server, where Kerberos does not know it by itself", min = 1, max = 255 },
  },
}

scopes.route_tls = {
  doc = "`tls = \"level\"` or `tls = { ... }` of a route. What is demanded and cannot be had makes mail wait; nothing of it is "
    .. "sent in the clear. At verify a certificate is for one of `names`; without them for the host of the route, or else for the "
    .. "MX host or the domain of the recipient",
  options = {
    { "level", "enum", "off: never; may: if offered, and in the clear if it fails; encrypt: any certificate; verify: one that is "
      .. "trusted; dane: as the TLSA records say, and may where there are none (needs dns.trust_ad)",
      words = { "off", "may", "encrypt", "verify", "dane", "sts" } },
    { "ca", "path", "file of the CAs that are trusted; without it, those of the system" },
    { "names", "names", "of certificates", min = 1, max = 50 },
    { "cert", "path", "our certificate, for servers that ask for one, with its chain" },
    { "key", "path", "its key; without it, the key is in the same file" },
    { "min", "enum", "the oldest version", words = { "1.0", "1.1", "1.2", "1.3" }, default = "1.2" },
    { "ciphers", "string", "of TLS 1.2 and older, as OpenSSL lists them", min = 1, max = 2000 },
    { "security_level", "integer", "of OpenSSL; without it, OpenSSL's own; 0 for versions before 1.2", min = 0, max = 5 },
    { "implicit", "boolean", "TLS from the first octet on, as on port 465", default = false },
  },
}

return {
  scopes = scopes,

  -- In the order of the documentation.
  order = { "top", "tls", "kerberos", "users", "sasldb", "saslauthd", "dkim", "log", "dns", "mta_sts", "queue", "delivery", "spool",
    "limits", "listener", "listener_tls", "auth_failures", "clients", "timeouts", "profile", "route", "route_tls", "credential",
    "token", "gssapi_client" },

  -- The words of the language, besides the options.
  words = {
    { "listener", "listener \"relay\" { ... }", "takes mail; there is at least one" },
    { "route", "route \"*\" { ... }", "where mail goes; without one for \"*\" the rest goes to the MX hosts" },
    { "profile", "profile \"copiers\" { ... }", "a set of kindnesses" },
    { "use", "use \"policy\" { ... }",
      "a policy with its options, for lists of policies; use \"policy\" {...}:observe() only says what it would do, "
      .. "use \"policy\" {...}:canary { share = 5, networks = {...}, ends = \"2026-12-01\" } does it for some clients" },
    { "file", "file \"list.txt\"", "the lines of a file, as a list; # begins a comment" },
    { "env", "env \"NAME\"", "an environment variable; env(\"NAME\", \"otherwise\")" },
    { "secret", "secret \"name\"",
      "a password or key: of the environment variable POSTERN_SECRET_NAME, or of the file `name` in $CREDENTIALS_DIRECTORY or "
      .. "in secrets_dir; it is never printed, and a file is read again when it changes" },
    { "redis", "redis { ... }", "the shared store of a cluster" },
  },

  -- Policies that relay for networks: the option that names them. All networks of a listener together may not be the Internet.
  relays = { relay_networks = "networks" },
}
