// panva's oidc-provider (OpenID certified) on PORT, as a native app meets it:
// public and confidential clients, PKCE required, refresh rotation with reuse
// detection, RFC 9207 iss, revocation. Any name and password signs in.
import { Provider } from 'oidc-provider'

const port = Number(process.env.PORT)
const issuer = `http://127.0.0.1:${port}`
const native = {
  application_type: 'native',
  redirect_uris: ['http://127.0.0.1/oauth/callback/panva', 'http://127.0.0.1/oauth/callback/panva-basic'],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
}
const provider = new Provider(issuer, {
  clients: [
    { ...native, client_id: 'public-native', token_endpoint_auth_method: 'none' },
    // RFC 6749 section 2.3.1: the secret is form-encoded before Basic.
    { ...native, client_id: 'conf-basic', client_secret: 's3cret:with/specials+%', token_endpoint_auth_method: 'client_secret_basic' },
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
  features: { devInteractions: { enabled: true }, introspection: { enabled: true }, revocation: { enabled: true } },
})
provider.listen(port, '127.0.0.1', () => console.log('listening'))
