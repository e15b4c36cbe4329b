
-- Prosody 0.12 has no OAUTHBEARER; two modules of prosody-modules do, and ask our validator.
VirtualHost "oauth.localhost"
modules_enabled = { "sasl_oauthbearer" }
authentication = "oauthbearer"
oauth_client_id = "interop"
oauth_client_secret = "interop"
oauth_url = "@validator@{{password}}" -- where Prosody puts the token
