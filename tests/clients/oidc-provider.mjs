// SPDX-License-Identifier: Apache-2.0
// oidc-provider (npm) as somebody's identity provider, over TLS. Who signs in there is said by the header x-person of the
// browser: NAME, or NAME:mfa for somebody who used two factors. Arguments: port, certificate, key, address of Salus.
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { Provider } from "oidc-provider";

const [port, cert, key, salus] = process.argv.slice(2);
const issuer = `https://localhost:${port}`;

const client = (id, more) => ({
  client_id: id,
  redirect_uris: [`${salus}/sign-in/callback/${id}`],
  backchannel_logout_uri: `${salus}/sign-in/ended/${id}`,
  backchannel_logout_session_required: true,
  ...more,
});

const provider = new Provider(issuer, {
  clients: [
    client("basic", { client_secret: "a secret with + and %" }),
    client("post", { client_secret: "s3cret", token_endpoint_auth_method: "client_secret_post" }),
    client("curve", { client_secret: "s3cret", id_token_signed_response_alg: "ES256" }),
    ...(process.env.CLIENT_JWKS
      ? [client("key", { token_endpoint_auth_method: "private_key_jwt", token_endpoint_auth_signing_alg: "ES256", jwks: JSON.parse(process.env.CLIENT_JWKS) })]
      : []),
  ],
  enabledJWA: { idTokenSigningAlgValues: ["RS256", "ES256"] },
  jwks: JSON.parse(process.env.PROVIDER_JWKS),
  acrValues: ["urn:example:two"],
  claims: { openid: ["sub"], profile: ["name", "preferred_username"], acr: null, amr: null, sid: null, auth_time: null },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  cookies: { keys: ["for tests only"] },
  features: {
    devInteractions: { enabled: false },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: { enabled: true, logoutSource: (ctx, form) => { ctx.body = form; } },
  },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  fetch: (url, options) => globalThis.fetch(url, options),
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, name: `${id} of elsewhere`, preferred_username: id, email: "dr@clinic.example" }),
  }),
});

provider.use(async (ctx, next) => {
  if (!ctx.path.startsWith("/interaction/")) return next();
  const { params, prompt } = await provider.interactionDetails(ctx.req, ctx.res);
  const [accountId, factors] = (ctx.get("x-person") || "nobody").split(":");
  const login = { accountId, ...(factors ? { acr: "urn:example:two", amr: ["pwd", "otp", "mfa"] } : { amr: ["pwd"] }) };
  let result = { login };
  if (prompt.name === "consent") {
    const grant = new provider.Grant({ accountId, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    result = { consent: { grantId: await grant.save() } };
  }
  ctx.status = 303;
  ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result, { mergeWithLastSubmission: true }));
});

createServer({ cert: readFileSync(cert), key: readFileSync(key) }, provider.callback()).listen(Number(port), "127.0.0.1", () =>
  console.log("ready"),
);
