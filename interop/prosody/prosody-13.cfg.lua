
-- Prosody 13 has OAUTHBEARER beside all the others, for tokens that it issues itself.
VirtualHost "oauth.localhost"
modules_enabled = { "tokenauth", "interop_token" }
authentication = "internal_hashed"
disable_sasl_mechanisms = { "PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS" }
