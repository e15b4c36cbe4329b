
-- Prosody 13 has OAUTHBEARER beside all the others, for tokens that it issues itself.
VirtualHost "oauth.localhost"
modules_enabled = { "tokenauth", "interop_token" }
authentication = "internal_hashed"
disable_sasl_mechanisms = { "PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS" }

-- SASL2 is a matter of modules outside Prosody itself; its version of Debian's backports runs them.
local modern = { "carbons", "csi_simple", "sasl2", "sasl2_bind2", "sasl2_sm", "sasl2_fast" }

VirtualHost "sasl2.localhost"
modules_enabled = modern
authentication = "internal_hashed"
password_hash = "SHA-256"

VirtualHost "rotating.localhost" -- a new token at each login
modules_enabled = modern
authentication = "internal_hashed"
password_hash = "SHA-256"
sasl2_fast_token_min_ttl = 0

VirtualHost "expiring.localhost" -- tokens last two seconds
modules_enabled = modern
authentication = "internal_hashed"
password_hash = "SHA-256"
sasl2_fast_token_ttl = 2
