-- cli/cert.lua - postern cert check: what is wrong with certificates and keys, before clients say it.

local args = require "cli.args"
local text = require "cli.text"

local function day(unix)
  return os.date("!%Y-%m-%d", unix)
end

local function left(unix, now)
  local days = math.floor(math.abs(unix - now) / 86400)
  return unix >= now and ("%s left"):format(text.plural(days, "day")) or ("%s ago"):format(text.plural(days, "day"))
end

-- @words over as many lines as they need, in columns of their own.
local function paragraph(title, words)
  local line = ("  %-9s"):format(title)
  for word in words:gmatch("%S+") do
    if text.width(line) + 1 + text.width(word) > 110 and line:find("%S", 12) then
      io.write(line, "\n")
      line = (" "):rep(11)
    end
    line = line .. " " .. word
  end
  io.write(line, "\n")
end

local function show(p, now)
  local where, key = p.where ~= "" and (p.where .. ": ") or "", p.key and (" with " .. p.key) or ""
  io.write(text.clean(where .. p.cert .. key), "\n")
  if p.subject then
    local names = table.concat(p.names, ", ")
    paragraph("for", text.clean(names ~= "" and names or p.subject))
    paragraph("issuer", text.clean(p.issuer))
    for _, link in ipairs(p.chain) do
      paragraph("and", ("%s, until %s"):format(text.clean(link.subject), day(link.not_after)))
    end
    paragraph("valid", ("%s to %s, %s"):format(day(p.not_before), day(p.not_after), left(p.not_after, now)))
    paragraph("key", text.clean(p.key_type or "unknown"))
    paragraph("sha256", p.sha256)
  end
  for _, f in ipairs(p.findings) do paragraph(f.grade == "problem" and "PROBLEM" or "warning", text.clean(f.text)) end
  if #p.findings == 0 then paragraph("good", "nothing was found") end
end

local function check(opt, files)
  if not opt.config and #files == 0 then args.usage("what? --config FILE, or files: a certificate with its chain, and its key") end
  local lines = {}
  local function add(key, value) args.line(lines, key, value) end
  add("config", opt.config)
  add("ca", opt.ca)
  for _, name in ipairs(opt.name or {}) do add("name", name) end
  for _, file in ipairs(files) do add("file", file) end
  local out, err = host.cert_check(table.concat(lines, "\n"))
  if not out then args.fail("%s", err) end
  local answer = host.json_decode(out)
  if opt.json then
    io.write(out, "\n")
  else
    local now = os.time()
    for i, p in ipairs(answer.pairs) do
      if i > 1 then io.write "\n" end
      show(p, now)
    end
  end
  return answer.problems > 0 and 1 or 0
end

return {
  { name = "cert check", args = "[FILE...]",
    doc = "Chain, key, names, dates, strength and permissions of certificates, in plain words; status 1 if there is a problem.",
    more = "A file with certificates may hold the key too, or the file behind it does.",
    options = { { "config", "FILE", "those that a configuration names" },
      { "name", "NAME", "must be among the names; may be repeated", many = true },
      { "ca", "FILE", "the CAs that clients trust; without it, those of this machine" } },
    run = check },
}
