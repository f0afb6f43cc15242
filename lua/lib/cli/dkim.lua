-- cli/dkim.lua - postern dkim ...: keys that mail is signed with, and messages that were signed (server/main/cli_dkim.h).

local args = require "cli.args"
local text = require "cli.text"

local KEYS = { "config", "domain", "selector", "type", "bits", "dir", "key", "server" }

-- "key value" lines, an empty line, the message.
local function request(values, message)
  local lines = {}
  for _, key in ipairs(KEYS) do
    args.line(lines, key, values[key])
  end
  return table.concat(lines, "\n") .. (#lines > 0 and "\n\n" or "\n") .. (message or "")
end

local function ask(name, values, message)
  local out, err = host[name](request(values, message))
  if not out then args.fail("%s", err) end
  return out
end

local function read(name)
  local f, err = io.stdin, nil
  if name and name ~= "-" then f, err = io.open(name, "rb") end
  if not f then args.fail("%s", err) end
  local message = f:read("*a")
  if not message then args.fail("%s: it cannot be read", name or "standard input") end
  return message
end

local function absolute(path)
  return path:sub(1, 1) == "/" and path or (os.getenv("PWD") or ".") .. "/" .. path
end

-- ---- keygen ----------------------------------------------------------------------------------------------------------

local function keygen(opt, rest)
  if #rest > 0 then args.usage("dkim keygen takes no further words: %q", rest[1]) end
  for _, name in ipairs { "domain", "selector", "out" } do
    if not opt[name] then args.usage("--%s is wanted; see postern dkim keygen --help", name) end
  end
  local out = ask("dkim_keygen", { domain = opt.domain, selector = opt.selector, type = opt.type, bits = opt.bits, dir = opt.out })
  if opt.json then
    io.write(out, "\n")
    return 0
  end
  local made = host.json_decode(out)
  io.write(("The private key is in %s, for its owner alone. The server must be able to read it.\n\n"):format(made.file))
  io.write("Publish this record:\n\n  ", made.zone, "\n\n")
  io.write(("Where a form asks for name and value, they are %s and\n\n  %s\n\n"):format(made.name, made.record))
  io.write("When `postern dkim check ", made.domain, " ", made.selector, " --key ", made.file, "` finds it, configure:\n\n")
  io.write(("  dkim = { domain = %q, selector = %q, key = %q }\n"):format(made.domain, made.selector, absolute(made.file)))
  return 0
end

-- ---- check -----------------------------------------------------------------------------------------------------------

local function check(opt, rest)
  if opt.config and #rest > 0 then args.usage("either --config, or DOMAIN SELECTOR") end
  if not opt.config and #rest ~= 2 then args.usage("which key? --config FILE, or DOMAIN SELECTOR") end
  local out = ask("dkim_check", { config = opt.config, domain = rest[1], selector = rest[2], key = opt.key, server = opt.server })
  local keys, status = host.json_decode(out), 0
  for i, key in ipairs(keys) do
    if key.result == "bad" or key.result == "unknown" then status = 1 end
    if not opt.json then
      io.write(i > 1 and "\n" or "", text.clean(key.name), ": ", key.result, "\n")
      for line in key.text:gmatch("[^\n]+") do io.write("  ", text.clean(line), "\n") end
      if key.record then io.write("  It should be:\n    ", text.clean(key.record), "\n") end
    end
  end
  if opt.json then io.write(out, "\n") end
  return status
end

-- ---- messages --------------------------------------------------------------------------------------------------------

local function outcome(kind, o)
  local who = o.domain ~= "" and (" by %s (selector %s, %s%s)"):format(o.domain, o.selector, o.algorithm,
    o.bits > 0 and (", %d bits"):format(o.bits) or "") or ""
  return ("%s: %s%s%s%s\n"):format(kind, o.result, text.clean(who), o.reason ~= "" and ": " .. o.reason or "",
    o.partial and "; something was added behind what was signed (l=)" or "")
end

local function verify(opt, rest)
  if #rest > 1 then args.usage("one message at a time: %q", rest[2]) end
  local out = ask("dkim_verify", { config = opt.config, server = opt.server }, read(rest[1]))
  local found, passed = host.json_decode(out), false
  for _, o in ipairs(found.signatures) do passed = passed or o.result == "pass" end
  if opt.json then
    io.write(out, "\n")
    return passed and 0 or 1
  end
  for _, o in ipairs(found.signatures) do io.write(outcome("signature", o)) end
  if #found.signatures == 0 then io.write("The message is not signed.\n") end
  if found.ignored > 0 then io.write(text.plural(found.ignored, "further signature"), " not looked at\n") end
  if found.arc_sets > 0 then io.write(outcome(("ARC chain of %d"):format(found.arc_sets), found.arc)) end
  return passed and 0 or 1
end

local function sign(opt, rest)
  if not opt.config then args.usage("which keys? --config FILE") end
  if #rest > 1 then args.usage("one message at a time: %q", rest[2]) end
  io.write(ask("dkim_sign", { config = opt.config }, read(rest[1])))
  return 0
end

local SERVER = { "server", "ADDRESS", "the name server that is asked; without it, that of the configuration or of the system" }

return {
  { name = "dkim keygen", args = "--domain DOMAIN --selector NAME --out DIR",
    doc = "Makes a key that mail is signed with, and says what is to be published in the DNS.",
    options = { { "domain", "DOMAIN", "who signs" }, { "selector", "NAME", "names the key: a new one for each key" },
      { "type", "TYPE", "rsa (which everybody verifies) or ed25519 (as a second one)" },
      { "bits", "NUMBER", "of an RSA key; 2048 without it" }, { "out", "DIR", "where the file with the private key goes" } },
    run = keygen },
  { name = "dkim check", args = "[DOMAIN SELECTOR]",
    doc = "Looks keys up in the DNS, compares them with the private ones and says in words what is wrong.",
    more = "Status 1 if a key does not work, or nobody answered.",
    options = { { "config", "FILE", "all keys of this configuration" }, { "key", "FILE", "with DOMAIN SELECTOR: the private key" },
      SERVER }, run = check },
  { name = "dkim verify", args = "[FILE]", doc = "Verifies the signatures and the ARC chain of a message.",
    more = "Without a file it comes from standard input. Status 0 if a signature passes.",
    options = { { "config", "FILE", "take its resolver" }, SERVER }, run = verify },
  { name = "dkim sign", args = "--config FILE [FILE]",
    doc = "Writes a message as the server would sign it; to try keys out.",
    options = { { "config", "FILE", "take its keys" } }, run = sign },
}
