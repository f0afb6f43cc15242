-- cli/bans.lua - postern bans: who is turned away because of failed logins.

local args = require "cli.args"
local client = require "cli.client"
local text = require "cli.text"

local function ls(opt, rest)
  if #rest > 0 then args.usage("bans ls takes no further words: %q", rest[1]) end
  local a, body = client.ask(opt, "GET", "/v1/bans")
  if opt.json then
    io.write(body, "\n")
    return 0
  end
  local rows, now = {}, os.time()
  table.sort(a.bans, function(x, y) return x["until"] < y["until"] end)
  for i, b in ipairs(a.bans) do
    rows[i] = { b.client or b.user, b.kind, b.failures, text.time(b.since), text.duration(b["until"] - now) }
  end
  if #rows > 0 then
    io.write(text.table({ { "WHO", max = 60 }, { "KIND" }, { "FAILURES", right = true }, { "SINCE" },
      { "ENDS IN", right = true } }, rows))
  end
  io.write(text.plural(#rows + a.more, "ban"), a.more > 0 and (", %d of them not shown"):format(a.more) or "", "\n")
end

-- An IPv4 address, one of IPv6, or a network; no user's name has a colon or is all digits and dots.
local function is_client(word)
  return word:match("^[%d.]+$") or word:match("^[%d.]+/32$") or (word:find(":", 1, true) and word:match("^[%x:.]+$")) or
    (word:find(":", 1, true) and word:match("^[%x:.]+/64$"))
end

local function remove(opt, words)
  if #words == 0 and not opt.all then args.usage("whose? give addresses or users as bans ls has them, or --all") end
  if #words > 0 and opt.all then args.usage("either --all, or whose: %q", words[1]) end
  local asks, removed, failed = {}, 0, nil
  for i, word in ipairs(words) do asks[i] = { [is_client(word) and "client" or "user"] = word } end
  if opt.all then asks[1] = { all = 1 } end
  for _, params in ipairs(asks) do
    params.reason = opt.reason
    local a, _, status = client.ask(opt, "POST", "/v1/bans/remove", params, { [400] = true, [404] = true })
    if status == 200 then removed = removed + a.removed else failed = failed or a.error end
    if status ~= 200 and not opt.json then io.stderr:write("postern: ", text.clean(a.error), "\n") end
  end
  if opt.json then io.write(host.json_encode({ removed = removed, error = failed }), "\n")
  else io.write(text.plural(removed, "ban"), " lifted\n") end
  return failed and 1 or 0
end

return {
  { name = "bans ls", doc = "Addresses and users that are turned away because of failed logins, and for how long.", run = ls },
  { name = "bans remove", args = "ADDRESS|USER...", doc = "Lets addresses or users in again; their failures are forgotten.",
    options = { { "all", nil, "everybody" }, { "reason", "TEXT", "why: kept in the log" } }, run = remove },
}
