-- helo_characters.lua - some names break the systems behind us.
--
-- helo  refuse a name with a forbidden character, at once: the device's maker expects an error there if anywhere

local relay = require "relay"

return relay.policy {
  name = "helo_characters", api = 1,
  doc = "Refuses HELO and EHLO names that hold characters which other systems cannot stand.",
  options = {
    forbidden = { type = "string", default = "&", min = 1, doc = "characters that a HELO name may not contain" },
    answer_at = { type = "enum", values = { "helo", "rcpt" }, default = "helo",
      doc = "helo: the HELO command is refused; rcpt: each recipient is, so that the log has sender and recipient" },
  },
  setup = function(opt)
    local on = {}
    function on.helo(_, name)
      local bad = relay.text.find_any(name, opt.forbidden)
      if bad then
        return relay.reject { code = 501, enhanced = "5.5.2", rule = "helo-characters", now = opt.answer_at == "helo",
          text = ("HELO name may not contain \"%s\"; change the device's name"):format(bad) }
      end
    end
    return on
  end,
}
