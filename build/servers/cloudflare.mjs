// Cloudflare's workers-oauth-provider on PORT, in the runtime that it is made
// for: an authorization server as MCP 2025-11-25 has them (RFC 7591 registration,
// RFC 9207 iss, S256 only, rotation, RFC 7009) with an MCP server at /mcp, whose
// tools want the scope mcp:write. Everybody is alice.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Miniflare } from 'miniflare'

const port = Number(process.env.PORT)
const base = `http://localhost:${port}`
const library = fileURLToPath(new URL('node_modules/@cloudflare/workers-oauth-provider/dist/oauth-provider.js', import.meta.url))

const worker = `
import { OAuthProvider, insufficientScope } from './oauth-provider.js'
import { WorkerEntrypoint } from 'cloudflare:workers'

class Tools extends WorkerEntrypoint {
  async fetch(request) {
    const call = request.method === 'POST' ? await request.json() : {}
    const { scope } = this.ctx.auth
    if (call.method === 'tools/call' && !scope.includes('mcp:write')) return insufficientScope(this.ctx.auth, ['mcp:read', 'mcp:write'])
    return Response.json({ jsonrpc: '2.0', id: call.id ?? null, result: { user: this.ctx.props.user, scope } })
  }
}

const consent = {
  async fetch(request, env) {
    const server = env.OAUTH_PROVIDER
    if (new URL(request.url).pathname !== '/authorize') return new Response('nothing here', { status: 404 })
    if (request.method === 'GET') {
      const asked = await server.parseAuthRequest(request)
      const { headers, handle } = await server.beginConsent(asked)
      headers.set('Content-Type', 'text/html')
      const scopes = asked.scope.map((s) => '<input type="hidden" name="scope" value="' + s + '">').join('')
      return new Response('<form method="post"><input type="hidden" name="handle" value="' + handle + '">' + scopes + '<button>Allow</button></form>', { headers })
    }
    const form = await request.formData()
    const { request: approved, headers } = await server.approveConsent(request, String(form.get('handle')), { scope: form.getAll('scope').map(String) })
    const { redirectTo } = await server.completeAuthorization({ request: approved, userId: 'alice', metadata: {}, scope: approved.scope, props: { user: 'alice' } })
    headers.set('Location', redirectTo)
    return new Response(null, { status: 302, headers })
  },
}

export default new OAuthProvider({
  apiRoute: '/mcp',
  apiHandler: Tools,
  defaultHandler: consent,
  authorizeEndpoint: '/authorize',
  tokenEndpoint: '/oauth/token',
  clientRegistrationEndpoint: '/oauth/register',
  scopesSupported: ['mcp:read', 'mcp:write', 'offline_access'],
  requiredScopes: ['mcp:read'],
  accessTokenTTL: ${Number(process.env.ACCESS_TTL ?? 300)},
  resourceMetadata: { resource: '${base}/mcp', authorization_servers: ['${base}'] },
})`

const runtime = new Miniflare({
  host: '127.0.0.1',
  port,
  cf: false,
  compatibilityDate: '2026-07-01',
  compatibilityFlags: ['nodejs_compat', 'global_fetch_strictly_public'],
  kvNamespaces: ['OAUTH_KV'],
  modules: [
    { type: 'ESModule', path: 'worker.mjs', contents: worker },
    { type: 'ESModule', path: 'oauth-provider.js', contents: readFileSync(library, 'utf8') },
  ],
})
await runtime.ready
console.log('listening')
