// panva's oidc-provider (OpenID certified) on PORT, as a native app meets it:
// public and confidential clients, PKCE required, refresh rotation with reuse
// detection, RFC 9207 iss, revocation. Any name and password signs in.
import { Provider } from 'oidc-provider'

const port = Number(process.env.PORT)
const issuer = `http://127.0.0.1:${port}`
const dpopNonce = process.env.DPOP_NONCE === '1'
const native = {
  application_type: 'native',
  redirect_uris: ['http://127.0.0.1/oauth/callback/panva', 'http://127.0.0.1/oauth/callback/panva-basic', 'http://127.0.0.1/oauth/callback/panva-dpop', 'http://127.0.0.1/oauth/callback/panva-key'],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
}
const provider = new Provider(issuer, {
  clients: [
    { ...native, client_id: 'public-native', token_endpoint_auth_method: 'none' },
    // RFC 6749 section 2.3.1: the secret is form-encoded before Basic.
    { ...native, client_id: 'conf-basic', client_secret: 's3cret:with/specials+%', token_endpoint_auth_method: 'client_secret_basic' },
    // RFC 9449: this client's tokens are bound to a key, or there are none.
    { ...native, client_id: 'dpop-native', token_endpoint_auth_method: 'none', dpop_bound_access_tokens: true },
    // OpenID Connect Core section 9: it signs with the key whose public half is here.
    ...(process.env.CLIENT_JWK ? [{ ...native, client_id: 'conf-key', token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'ES256', jwks: { keys: [JSON.parse(process.env.CLIENT_JWK)] } }] : []),
  ],
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, name: `Test ${id}`, preferred_username: id, email: `${id}@example.test`, email_verified: true }),
  }),
  claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email', 'email_verified'] },
  scopes: ['openid', 'offline_access', 'profile', 'email'],
  cookies: { keys: ['for-tests-only'] },
  pkce: { required: () => true },
  issueRefreshToken: async () => true,
  rotateRefreshToken: () => true,
  ttl: { AccessToken: Number(process.env.ACCESS_TTL ?? 300), IdToken: 600, RefreshToken: 86400, AuthorizationCode: 60, Grant: 86400, Session: 86400, Interaction: 600 },
  features: { devInteractions: { enabled: true }, introspection: { enabled: true }, revocation: { enabled: true }, dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 7), requireNonce: () => dpopNonce } },
})
provider.listen(port, '127.0.0.1', () => console.log('listening'))
