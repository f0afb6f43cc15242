-- missing_headers: what is added, what is kept, what is not touched.
local t = require "relay.testing"

local WHOLE = { "Date: Mon, 02 Mar 2026 10:00:00 +0000", "Message-ID: <1@example.edu>", "From: a@example.edu" }

local function after(p, header, from, more)
  p:mail { from = from or "scanner@example.edu" }
  local subject = { header = header, body = "text\r\n" }
  for key, value in pairs(more or {}) do subject[key] = value end
  t.no_opinion(p:message(subject))
  return p
end

-- How many fields of this name the message has now.
local function count(p, name)
  local _, n = ("\n" .. p:state().head):lower():gsub("\n" .. name:lower():gsub("%-", "%%-") .. ":", "")
  return n
end

t.describe("missing_headers", function()
  t.it("adds Date, Message-ID and From, and says so in the log", function()
    local p = after(t.policy("missing_headers"), { "Subject: scan" })
    t.truthy(p:header("Date"):match("^%a%a%a, %d%d? %a%a%a %d%d%d%d %d%d:%d%d:%d%d [+-]%d%d%d%d$"), p:header "Date")
    t.truthy(p:header("Message-ID"):match("^<[^@<>%s]+@relay%.example%.edu>$"), p:header "Message-ID")
    t.contains(p:header "From", "scanner@example.edu")
    t.equal("scan", p:header "Subject")
    t.logged(p, "headers_mended", { faults = "no_date no_from no_message_id" })
  end)

  t.it("leaves a message alone that lacks nothing, to the octet", function()
    local p = after(t.policy("missing_headers"), WHOLE)
    t.equal(table.concat(WHOLE, "\r\n") .. "\r\n", (p:state().head:gsub("\r\n\r\n$", "\r\n")))
    for _, record in ipairs(p:log()) do t.truthy(record.text ~= "headers_mended", "no record") end
  end)

  t.it("adds only what is missing", function()
    local p = after(t.policy("missing_headers"), { WHOLE[1], WHOLE[3] })
    t.equal("Mon, 02 Mar 2026 10:00:00 +0000", p:header "Date")
    t.equal(1, count(p, "Message-ID"))
    t.equal("a@example.edu", p:header "From")
  end)

  t.it("keeps the first of doubled fields, and all recipients", function()
    local p = after(t.policy("missing_headers"), { WHOLE[1], WHOLE[2], "From: first@example.edu", "Subject: one",
      "To: x@example.net", "From: second@example.edu", "Subject: two", "Message-ID: <2@example.edu>", "To: y@example.net" })
    t.equal("first@example.edu", p:header "From")
    t.equal("one", p:header "Subject")
    t.equal("<1@example.edu>", p:header "Message-ID")
    for _, name in ipairs { "From", "Subject", "Message-ID", "To" } do t.equal(1, count(p, name), name) end
    t.contains(p:header "To", "x@example.net")
    t.contains(p:header "To", "y@example.net")
  end)

  t.it("does not touch what is signed", function()
    local p = after(t.policy("missing_headers"),
      { "DKIM-Signature: v=1; d=example.edu; h=from; b=x", "Subject: one", "Subject: two" })
    t.equal(nil, p:header "Date")
    t.equal(nil, p:header "From")
    t.equal(2, count(p, "Subject"))
  end)

  t.it("writes an envelope sender as it is, quotes and all", function()
    local p = after(t.policy("missing_headers"), { "Subject: x" }, '"a b"@example.edu')
    t.equal('<"a b"@example.edu>', p:header "From")
  end)

  t.it("prefers the From of the options", function()
    local p = after(t.policy("missing_headers", { from = "devices@example.edu" }), { "Subject: x" })
    t.contains(p:header "From", "devices@example.edu")
  end)

  t.it("invents no author for the null sender", function()
    local p = after(t.policy("missing_headers"), { "Subject: x" }, "")
    t.equal(nil, p:header "From")
    t.truthy(p:header "Date")
  end)

  t.it("mends what is asked for, and broken values only then", function()
    local broken = { "Date: yesterday", "Message-ID: none", "From: a@example.edu" }
    local p = after(t.policy("missing_headers"), broken)
    t.equal("yesterday", p:header "Date")
    t.equal("none", p:header "Message-ID")
    p = after(t.policy("missing_headers", { mend = { "bad_date" } }), broken)
    t.truthy(p:header("Date"):match("^%a%a%a, "), p:header "Date")
    t.equal("none", p:header "Message-ID")
    t.raises("option 'mend'", t.policy, "missing_headers", { mend = { "everything" } })
  end)

  t.it("can be for some networks only", function()
    local p = t.policy("missing_headers", { networks = { "192.0.2.0/28" } })
    t.equal(nil, after(p, { "Subject: x" }, nil, { remote_ip = "192.0.2.16" }):header "Date")
    t.truthy(after(p, { "Subject: x" }, nil, { remote_ip = "192.0.2.15" }):header "Date")
  end)
end)
