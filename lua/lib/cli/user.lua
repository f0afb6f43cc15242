-- cli/user.lua - postern user: the users of Postern's own user file, and short names for long ones.
--
-- The file is changed by C (server/main/cli_user.c), under a lock and whole or not at all; a running server reads it again
-- by itself. Passwords do not come through here: they are typed without echo, or are the first line of standard input.

local args = require "cli.args"
local text = require "cli.text"

local DEFAULT_FILE = "/etc/postern/users"

local FILE = { "file", "FILE", "the user file; without it " .. DEFAULT_FILE }
local GENERATE = { "generate", nil, "make a password that is easy to type, and print it, once" }
local COMMENT = { "comment", "TEXT", "for people" }
local PRINCIPAL = { "principal", "NAME", "who it is once it is in, if not itself: smtp-relay/scan.example.edu@EXAMPLE.EDU" }

local PASSWORD = "The password is typed twice, or is the first line of standard input. It is kept as a scrypt hash and as a\n"
  .. "SCRAM-SHA-256 verifier; nobody can read it back."

local function ask(verb, opt, fields)
  local lines = { "verb " .. verb, "file " .. (opt.file or DEFAULT_FILE) }
  for key, value in pairs(fields) do
    if value == true then
      lines[#lines + 1] = key
    else
      args.line(lines, key, value)
    end
  end
  local out, err = host.user(table.concat(lines, "\n"))
  if not out then args.fail("%s", err) end
  return host.json_decode(out), out
end

local function words(command, rest, n)
  if #rest ~= n then
    args.usage("%s wants %s; see postern %s --help", command, n == 1 and "a name" or n == 2 and "two names" or "no further words",
      command)
  end
  return unpack(rest)
end

-- Prints the answer, or with --json the document.
local function say(opt, out, ...)
  io.write(opt.json and out or string.format(...), "\n")
end

local function with_password(verb, done)
  return function(opt, rest)
    local name = words("user " .. verb, rest, 1)
    local a, out = ask(verb, opt, { name = name, principal = opt.principal, comment = opt.comment, generate = opt.generate,
      disabled = opt.disabled })
    say(opt, out, "%s %s %s%s", a.name, done, a.file, a.password and ("; its password: " .. a.password) or "")
  end
end

local function plain(verb, done)
  return function(opt, rest)
    local name = words("user " .. verb, rest, 1)
    local a, out = ask(verb, opt, { name = name, principal = opt.principal, comment = opt.comment })
    local aliases = (a.lines_removed or 1) - 1
    local more = aliases > 0 and (", and " .. text.plural(aliases, "alias", "aliases")) or ""
    say(opt, out, "%s %s %s%s", a.name, done, a.file, more)
  end
end

local function set(opt, rest)
  if not opt.principal and not opt.comment then args.usage("user set wants --principal or --comment") end
  return plain("set", "was changed in")(opt, rest)
end

local function alias(opt, rest)
  local name, to = words("user alias", rest, 2)
  local a, out = ask("alias", opt, { name = name, to = to, comment = opt.comment })
  say(opt, out, "%s is %s in %s%s", a.name, a.to, a.file, a.of_this_file and "" or "; that one is another backend's")
end

local function import_sasldb(opt, rest)
  local from = words("user import-sasldb", rest, 1)
  local a, out = ask("import", opt, { from = from, realm = opt.realm, replace = opt.replace })
  if opt.json then
    io.write(out, "\n")
    return
  end
  for _, s in ipairs(a.skipped) do io.write(("%s was left out: %s\n"):format(text.clean(s.name), text.clean(s.why))) end
  io.write(("%s came to %s, %d of them with a new password%s\n"):format(text.plural(a.imported + a.replaced, "user"), a.file,
    a.replaced, a.realm ~= "" and ("; they log in with and without @" .. a.realm) or ""))
  io.write(("%s still holds the passwords in clear: once all is well, remove it\n"):format(from))
end

-- ---- ls --------------------------------------------------------------------------------------------------------------

local function kinds(u)
  if u.password and u.scram then return "scrypt, SCRAM" end
  return u.password and "scrypt" or "SCRAM"
end

local function ls(opt, rest)
  words("user ls", rest, 0)
  local a, out = ask("ls", opt, {})
  if opt.json then
    io.write(out, "\n")
    return
  end
  local rows, aliases = {}, {}
  for _, u in ipairs(a.users) do
    if u.alias_of then
      aliases[u.alias_of] = aliases[u.alias_of] or {}
      table.insert(aliases[u.alias_of], u.name)
    end
  end
  local shown = {}
  for _, u in ipairs(a.users) do
    if not u.alias_of then
      shown[u.name] = true
      rows[#rows + 1] = { u.name, u.state, kinds(u), u.changed and u.changed:sub(1, 10), table.concat(aliases[u.name] or {}, " "),
        u.principal, u.comment }
    end
  end
  for _, u in ipairs(a.users) do
    if u.alias_of and not shown[u.alias_of] then rows[#rows + 1] = { u.name, "alias", false, u.created and u.created:sub(1, 10), "",
      u.alias_of, u.comment } end
  end
  for _, row in ipairs(rows) do
    if row[5] == "" then row[5] = false end
  end
  io.write(text.table({ { "NAME", max = 40 }, { "STATE" }, { "KEPT AS" }, { "CHANGED" }, { "ALIASES", max = 40 },
    { "IS", max = 60 }, { "COMMENT", max = 60 } }, rows))
end

return {
  { name = "user ls", doc = "Lists the users of the user file; hashes are not shown.", options = { FILE }, run = ls },
  { name = "user add", args = "NAME", doc = "Adds a user; makes the file if there is none.", more = PASSWORD,
    options = { FILE, GENERATE, PRINCIPAL, COMMENT, { "disabled", nil, "it may not log in before postern user enable" } },
    run = with_password("add", "was added to") },
  { name = "user passwd", args = "NAME", doc = "Gives a user a new password.", more = PASSWORD, options = { FILE, GENERATE },
    run = with_password("passwd", "has a new password in") },
  { name = "user disable", args = "NAME", doc = "Lets a user log in no more; the password is kept.", options = { FILE, COMMENT },
    run = plain("disable", "is disabled in") },
  { name = "user enable", args = "NAME", doc = "Lets a user that was disabled log in again.", options = { FILE, COMMENT },
    run = plain("enable", "is enabled in") },
  { name = "user set", args = "NAME", doc = "Changes what is written beside a user; an empty value removes it.",
    options = { FILE, PRINCIPAL, COMMENT }, run = set },
  { name = "user alias", args = "ALIAS NAME",
    doc = "Makes a short name for a long one: of this file, or of another backend, as of Kerberos.",
    more = "A device whose field takes 20 characters logs in as cp-4711 and is smtp-relay/scan.example.edu@EXAMPLE.EDU.\n"
      .. "The listener's `auth` must have \"users\" in it. An alias that is there is changed; postern user remove takes it away.",
    options = { FILE, COMMENT }, run = alias },
  { name = "user remove", args = "NAME", doc = "Removes a user and the aliases of it, or an alias.", options = { FILE },
    run = plain("remove", "was removed from") },
  { name = "user import-sasldb", args = "SASLDB", doc = "Brings the accounts of a sasldb (saslpasswd2) into the user file, hashed.",
    more = "Users of one realm lose it and keep user@realm as an alias; without --realm, if there is one realm only.\n"
      .. "Needs sasldblistusers2.",
    options = { FILE, { "realm", "REALM", "whose users become plain ones; others keep theirs in the name" },
      { "replace", nil, "take the password of the sasldb where a user is here already" } }, run = import_sasldb },
}
