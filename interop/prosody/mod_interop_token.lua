-- GET /interop_token/<user> makes an OAuth 2.0 token for that user of this domain.
-- Test use: whoever reaches the port is given one.

module:depends "http";
local tokens = module:depends "tokenauth";
local lifetime = 3600;

module:provides("http", { route = { ["GET /*"] = function (_, user)
	local jid = user .. "@" .. module.host;
	local grant = assert(tokens.create_grant(jid, jid, lifetime, {}));
	return assert(tokens.create_token(jid, grant, "prosody:registered", lifetime, "oauth2"));
end } });
