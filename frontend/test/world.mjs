// A made-up world that speaks the local API: what the window is developed and
// tested against. It keeps the promises of the real one (an attempt moves step
// by step, an outcome stays readable, unknown members are refused) and answers
// no faster than a real one would. It writes down what it was asked.

/** @typedef {import('../src/api/schema').components['schemas']} S */
/** @typedef {S['Connection']} Connection */
/** @typedef {S['Attempt']} Attempt */
/** @typedef {S['Provider']} Provider */
/** @typedef {import('node:http').IncomingMessage} Request */
/** @typedef {import('node:http').ServerResponse} Response */

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

/** The present of every world; whoever wants pictures that stay the same holds it still. */
export const clock = { now: () => Date.now() }

/** @param {number} ms */
const at = (ms) => new Date(clock.now() + ms).toISOString()

class Refusal extends Error {
  /** @param {number} status @param {string} code @param {string} detail */
  constructor(status, code, detail) {
    super(detail)
    this.status = status
    this.code = code
  }
}

/** @param {string} id @param {string} name @param {Partial<Provider>} [more] @returns {Provider} */
const provider = (id, name, more = {}) => ({
  id,
  name,
  ready: false,
  authorization_url: `https://${id}.example/authorize`,
  token_url: `https://${id}.example/token`,
  revocation_url: `https://${id}.example/revoke`,
  token_auth_methods: ['client_secret_post'],
  pkce: 's256',
  scope_separator: ' ',
  callback_transports: ['loopback', 'gateway', 'device', 'paste'],
  api_hosts: [`api.${id}.example`],
  console_url: `https://${id}.example/developers`,
  redirect_uri: `http://127.0.0.1:27419/oauth/callback/${id}`,
  scopes: [
    { name: 'read', says: 'Read what you can read.', default: true },
    { name: 'profile', says: 'See your name and picture.', default: true },
    { name: 'write', says: 'Change what you can change.' },
  ],
  steps: ['Open the developer settings and choose “New app”.', 'Enter the redirect URI below.', 'Copy the client ID and generate a client secret.'],
  warnings: [],
  vars: [],
  evidence: [],
  ...more,
})

const DEMO = () =>
  provider('demo', 'Demo', {
    ready: true,
    category: 'demo',
    console_url: '',
    redirect_note: 'Nothing to register. The demo server knows Keyturn already.',
    scopes: [
      { name: 'profile', says: 'See the name of your demo account.', default: true },
      { name: 'email', says: 'See the email address of your demo account.', default: true },
      { name: 'notes.read', says: 'Read the notes of your demo account.', default: true },
      { name: 'openid', says: 'Confirm who you are with a signed ID token.' },
    ],
    steps: ['Nothing to set up. Choose Connect, then pick Ada or Grace on the page that opens.'],
    warnings: ['The demo server runs inside Keyturn on this computer, and its accounts are made up.'],
  })

const CATALOGUE = () => [
  provider('atlassian', 'Atlassian', { category: 'work' }),
  DEMO(),
  provider('dropbox', 'Dropbox', { category: 'files' }),
  provider('github', 'GitHub', {
    category: 'code',
    needs_secret: true,
    redirect_note: 'GitHub accepts any port when the host is 127.0.0.1.',
    scopes: [
      { name: 'repo', says: 'Read and write your repositories, private ones too.', default: true },
      { name: 'read:user', says: 'Read your profile.', default: true },
      { name: 'gist', says: 'Create gists.' },
    ],
  }),
  provider('gitlab', 'GitLab', { category: 'code' }),
  provider('google', 'Google', { category: 'work', needs_secret: true }),
  provider('linear', 'Linear', { category: 'work' }),
  provider('microsoft', 'Microsoft', { category: 'work' }),
  provider('notion', 'Notion', { category: 'work', revocation_url: '' }),
  provider('slack', 'Slack', { category: 'chat' }),
  provider('spotify', 'Spotify', { category: 'music' }),
  provider('acme_cloud', 'Acme Cloud', { custom: true, ready: true, scopes: [] }),
]

/** What can be opened by its id only: lists stay as they are. */
const UNLISTED = () => [
  provider('zendesk', 'Zendesk', { vars: [{ name: 'subdomain', says: 'your Zendesk subdomain' }], scopes: [] }),
  provider('mcp-notes-example', 'Notes', { ready: true, custom: true, resource: 'https://mcp.notes.example/mcp', scopes: [] }),
]

/** @type {Record<Connection['status'], string>} */
const HEALTH = {
  connected: 'connected',
  retrying: 'retrying since 14:02:00, next try 14:05:00: the provider cannot be reached, or does not work right now',
  needs_reconnect: 'needs reconnecting because the provider ended the grant: it was revoked there, or was not used for too long',
  revoking: 'disconnected; revoking since 14:02:00, next try 14:05:00: the provider cannot be reached, or does not work right now',
}

/** @param {number} n @param {string} p @param {string} name @param {{ [K in keyof Connection]?: Connection[K] | undefined }} [more] */
const connection = (n, p, name, more = {}) => /** @type {Connection} */ ({
  id: `con_${n.toString(16).padStart(16, '0')}`,
  provider: p,
  provider_name: name,
  client_id: `client-${p}`,
  granted_scopes: ['read', 'profile'],
  status: 'connected',
  health: HEALTH[more.status ?? 'connected'],
  has_refresh_token: true,
  created_at: at(-12 * 24 * HOUR),
  expires_at: at(52 * MINUTE),
  refreshed_at: at(-8 * MINUTE),
  ...more,
})

const LONG = 'a-very-long-account-name-that-somebody-really-has'.repeat(3) + '@an-equally-long-domain.example'

const ada = { connection_id: 'con_0000000000000002', provider: 'google', provider_name: 'Google', account: 'ada@example.com' }

/** @param {number} id @param {number} ago @param {S['Event']['kind']} kind @param {Partial<S['Event']>} [more] @returns {S['Event']} */
const event = (id, ago, kind, more = {}) => ({ id, at: at(-ago), kind, count: 1, ...(kind === 'token_read' || kind === 'request' ? { principal: 'local', pid: 7 } : {}), ...more })

/** The worlds there are. @type {Record<string, () => Partial<World>>} */
const worlds = {
  empty: () => ({}),
  ordinary: () => ({
    connections: [
      connection(1, 'github', 'GitHub', { account: 'octocat', granted_scopes: ['repo', 'read:user', 'gist'], last_used_at: at(-40 * SECOND), last_used_by: 'git', has_refresh_token: false }),
      connection(2, 'google', 'Google', { account: 'ada@example.com', missing_scopes: ['calendar.readonly'] }),
      connection(3, 'linear', 'Linear', { account: 'Ada Lovelace', status: 'retrying', reason: 'provider_unavailable', next_try_at: at(25 * SECOND), expires_at: at(9 * MINUTE) }),
      connection(4, 'slack', 'Slack', { account: 'ada in Analytical Engines', status: 'needs_reconnect', reason: 'grant_gone', expires_at: at(-3 * HOUR), refreshed_at: at(-4 * HOUR) }),
      connection(5, 'notion', 'Notion', { account: 'Ada’s workspace', granted_scopes: [], expires_at: undefined, refreshed_at: undefined }),
    ],
  }),
  hundred: () => ({
    connections: Array.from({ length: 100 }, (_, i) => {
      const p = CATALOGUE()[i % 11]
      const status = i % 17 === 3 ? 'needs_reconnect' : i % 23 === 5 ? 'retrying' : 'connected'
      return connection(i + 1, p?.id ?? '', p?.name ?? '', {
        account: `person${i + 1}@example.com`,
        status,
        expires_at: at((i + 1) * MINUTE),
        ...(status === 'connected' ? {} : { reason: status === 'retrying' ? 'rate_limited' : 'client_refused' }),
      })
    }),
  }),
  long: () => ({
    connections: [
      connection(1, 'acme_cloud', 'The Most Excellent Acme Cloud Platform of the Northern Hemisphere', { account: LONG, granted_scopes: Array.from({ length: 40 }, (_, i) => `https://scopes.acme.example/auth/some.really.long.scope/${i}`) }),
      connection(2, 'github', 'GitHub', { account: '<img src=x onerror="document.title=1">', status: 'needs_reconnect', reason: 'possible_lost_rotation' }),
      connection(3, 'gitlab', 'GitLab', { account: undefined, status: 'retrying', reason: 'a_code_from_the_future' }),
    ],
  }),
  busy: () => ({
    ...worlds.ordinary?.(),
    events: [
      event(9, 0, 'token_read', { ...ada, program: 'deploy.sh (bash) via keyturn', count: 340, until: at(0) }),
      event(8, 4 * MINUTE, 'refreshed', ada),
      event(7, 20 * MINUTE, 'token_read', { provider: 'slack', provider_name: 'Slack', program: 'notify', code: 'needs_reconnect' }),
      event(6, 2 * HOUR, 'needs_reconnect', { connection_id: connection(4, '', '').id, provider: 'slack', provider_name: 'Slack', account: 'ada in Analytical Engines', code: 'grant_gone' }),
      event(5, 26 * HOUR, 'locked'),
      event(4, 26 * HOUR, 'request', { ...ada, program: LONG, count: 12 }),
      event(3, 50 * HOUR, 'disconnected', { connection_id: 'con_gone', provider: 'acme_cloud', provider_name: 'The Most Excellent Acme Cloud Platform of the Northern Hemisphere', account: LONG }),
      event(2, 51 * HOUR, /** @type {any} */ ('a_kind_of_later'), ada),
      event(1, 400 * 24 * HOUR, 'connected', { ...ada, principal: 'window' }),
    ],
  }),
  many: () => ({ ...worlds.ordinary?.(), events: Array.from({ length: 500 }, (_, i) => event(500 - i, i * MINUTE, 'token_read', { ...ada, program: `program ${500 - i}` })) }),
  revoking: () => ({
    ...worlds.ordinary?.(),
    revoking: [
      connection(8, 'google', 'Google', { account: 'grace@example.com', status: 'revoking' }),
      connection(9, 'acme_cloud', 'The Most Excellent Acme Cloud Platform of the Northern Hemisphere', { account: LONG, status: 'revoking' }),
    ],
  }),
  ending: () => ({
    connections: [
      connection(1, 'google', 'Google', {
        account: 'ada@example.com',
        forecast: { at: at(30 * HOUR), reason: 'refresh_token_ends', says: 'Google ends the grants of apps in testing after seven days.', fix: 'Publish the app in its consent screen.' },
      }),
      connection(2, 'atlassian', 'Atlassian', {
        account: 'Ada Lovelace',
        has_refresh_token: false,
        forecast: { at: at(40 * MINUTE), reason: 'no_refresh_token', says: 'Atlassian gave no refresh token.', fix: 'Connect with offline_access too.', scopes: ['read', 'profile', 'offline_access'] },
      }),
    ],
  }),
  locked: () => ({ store: { code: 'store_locked', says: 'The keyring is locked. Unlock it, and Keyturn goes on by itself.' } }),
  damaged: () => ({
    ...worlds.ordinary?.(),
    damaged: [
      { kind: 'connection', id: 'con_00000000000000aa', provider: 'github', account: 'hubot' },
      { kind: 'app', id: 'app_00000000000000bb', provider: 'slack' },
    ],
  }),
}

export class World {
  /** @type {Connection[]} */ connections = []
  /** @type {Connection[]} */ revoking = []
  /** @type {S['Damaged'][]} */ damaged = []
  /** @type {(Attempt & { request: S['ConnectStart'], url: string })[]} */ attempts = []
  /** @type {S['App'][]} */ apps = [{ id: 'app_0', provider: 'acme_cloud', client_id: 'acme-public', has_client_secret: false, created_at: at(-HOUR), updated_at: at(-HOUR) }]
  /** @type {Provider[]} */ registered = []
  /** @type {S['Event'][]} */ events = []
  /** Whether activity is recorded. */
  recording = true
  /** @type {{ code: string, says: string } | undefined} */ store
  /** Whether the browser can be opened. */
  browser = true
  /** Whether anybody answers at all. */
  running = true
  /** How the provider answers a ping. */
  ping = 200
  /** Whether the provider confirms a revocation. */
  revokes = true
  /** What the world was asked to do, without its questions. @type {{ route: string, body: any }[]} */
  asked = []
  /** Milliseconds for each step, when nobody moves the attempts by hand. */
  pace = 0
  #count = 0

  paused = false
  catalogue = CATALOGUE()
  browsers = [
    { id: 'chromium', name: 'Chromium' },
    { id: 'firefox-esr/work', name: 'Firefox ESR – work' },
  ]
  settings = { callback_port: 27419, notifications: true, activity: true, gateway: '', https_loopback: false, autostart: false, browser: '' }

  /** @param {string} name @param {Partial<World>} [more] */
  constructor(name, more = {}) {
    const make = worlds[name]
    if (!make) throw new Error(`there is no world ${name}`)
    Object.assign(this, make(), more)
  }

  /** @param {string} id */
  provider(id) {
    const p = [...this.catalogue, ...UNLISTED(), ...this.registered].find((p) => p.id === id)
    if (!p) throw new Refusal(404, 'unknown_provider', `There is no provider ${id}.`)
    return { ...p, ready: p.ready || this.apps.some((a) => a.provider === id) }
  }

  /** The attempt that was started last. */
  get last() {
    const a = this.attempts.at(-1)
    if (!a) throw new Error('nothing was started')
    return a
  }

  /** @param {S['ConnectStart']} request @param {string} [starter] the kind of caller */
  start(request, starter = 'window') {
    if (request.service === 'https://nobody.example/mcp') throw new Refusal(502, 'discovery_failed', 'nobody.example could not be reached. Check the network connection, then try again.')
    const p = this.provider(request.service === 'https://mcp.notes.example/mcp' ? 'mcp-notes-example' : request.service)
    if (!p.ready) throw new Refusal(400, 'no_app', `${p.name} needs an OAuth app of yours first. See: keyturn providers get ${p.id}`)
    if (this.store) throw new Refusal(503, this.store.code, this.store.says)
    const state = `st_${(++this.#count).toString().padStart(4, '0')}`
    const url = `${p.authorization_url}?response_type=code&client_id=x&state=secret`
    const way = request.callback_transport ?? 'loopback'
    const more = way === 'device' ? { user_code: 'WDJB-MJHT', verification_uri: `https://${p.id}.example/device` } : { pastes: true }
    this.attempts.push({
      state, url, request, service: p.id, service_name: p.name, transport: way, started_by: starter, ...more,
      status: 'pending', step: 'waiting_for_browser', started_at: at(0), expires_at: at(5 * MINUTE),
    })
    if (this.pace) this.#play(this.last)
    if (way === 'device') return { state, auth_url: `https://${p.id}.example/device?user_code=WDJB-MJHT`, transport: way, ...more, expires_at: this.last.expires_at }
    return { state, auth_url: url, transport: way, pastes: true, expires_at: this.last.expires_at, browser: this.browser ? 'opened' : 'failed' }
  }

  /** @param {typeof this.last} a */
  async #play(a) {
    for (const step of /** @type {const} */ (['waiting_for_browser', 'exchanging', 'identifying', 'saving'])) {
      if (a.status !== 'pending') return
      a.step = step
      await new Promise((done) => setTimeout(done, this.pace))
    }
    if (a.status === 'pending') this.complete({ account_info: 'ada@demo.example' }, a)
  }

  /** The provider says yes. @param {Partial<Attempt>} outcome */
  complete(outcome, a = this.last) {
    const p = this.provider(a.service)
    const asked = a.request.requested_scopes ?? p.scopes.filter((s) => s.default).map((s) => s.name)
    delete a.step
    Object.assign(a, { status: 'complete', granted_scopes: asked, connection_id: `con_new${this.attempts.length}`, expires_at: at(MINUTE) }, outcome)
    this.connections.push(
      connection(1000 + this.attempts.length, p.id, p.name, {
        id: a.connection_id ?? '', account: a.account_info, granted_scopes: a.granted_scopes ?? [], created_at: at(0), refreshed_at: undefined, expires_at: at(HOUR),
      }),
    )
  }

  /** It ends some other way. @param {string} code @param {string} error */
  fail(code, error, a = this.last) {
    delete a.step
    Object.assign(a, { status: 'error', code, error, expires_at: at(MINUTE) })
  }

  /** @param {string} state */
  #attempt(state) {
    const a = this.attempts.find((a) => a.state === state)
    if (!a) throw new Refusal(404, 'state_unknown', 'This authorization is over or unknown.')
    return a
  }

  /** @param {string} id */
  #connection(id) {
    const c = this.connections.find((c) => c.id === id)
    if (!c) throw new Refusal(404, 'not_connected', 'This connection does not exist.')
    return c
  }

  /** @param {Attempt & { request?: unknown, url?: unknown }} a */
  static #shown({ request, url, ...a }) {
    void [request, url] // the URL holds the OAuth state: not in any list
    return a
  }

  /** @param {Attempt} a @returns {S['ConnectStatus']} */
  static #status({ status, service, step, account_info, granted_scopes, missing_scopes, connection_id, code, error, expires_at }) {
    return /** @type {S['ConnectStatus']} */ ({ status, service, step, account_info, granted_scopes, missing_scopes, connection_id, code, error, expires_at })
  }

  /** @param {string} method @param {string} path @param {any} body @returns {unknown} */
  answer(method, path, body) {
    const url = new URL(path, 'http://keyturn')
    const [, , area, ...rest] = url.pathname.split('/')
    const [id = '', verb] = rest
    switch (`${method} ${area}`) {
      case 'GET connections':
        return {
          protector: 'keyring',
          ...(this.paused ? { paused: true } : {}),
          ...(this.store ? { store: this.store.code, store_error: this.store.says } : {}),
          connections: this.store ? [] : this.connections.toSorted((a, b) => a.provider_name.localeCompare(b.provider_name)),
          ...(this.revoking.length > 0 ? { revoking: this.revoking } : {}),
          ...(this.damaged.length > 0 ? { damaged: this.damaged } : {}),
        }
      case 'POST connections': {
        const c = this.#connection(id)
        if (verb === 'ping') return { ok: this.ping === 200, provider: c.provider, account: c.account, status: this.ping }
        this.connections = this.connections.filter((other) => other !== c)
        return { provider: c.provider, connection_id: c.id, revoked: this.revokes }
      }
      case 'GET attempts':
        return { attempts: this.attempts.map(World.#shown) }
      case 'GET activity': {
        const of = url.searchParams.get('connection_id')
        return { recording: this.recording, activity: this.events.filter((e) => !of || e.connection_id === of).slice(0, Number(url.searchParams.get('limit'))) }
      }
      case 'GET apps':
        return { apps: this.apps }
      case 'POST apps': {
        const known = this.apps.find((a) => a.provider === body.provider && a.client_id === body.client_id)
        if (/\s/.test(body.client_id)) throw new Refusal(400, 'bad_request', 'The client id has a space in it.')
        const app = { id: `app_${this.apps.length}`, provider: body.provider, client_id: body.client_id, has_client_secret: Boolean(body.client_secret) || Boolean(known?.has_client_secret), created_at: at(0), updated_at: at(0) }
        this.apps = [...this.apps.filter((a) => a !== known), app]
        return app
      }
      case 'GET providers':
        if (id) return this.provider(id)
        return { providers: this.catalogue.map(({ id }) => this.provider(id)).map(({ id, name, category, custom, ready, needs_secret, console_url, redirect_uri }) => ({ id, name, category, custom, ready, needs_secret, console_url, redirect_uri })) }
      case 'GET browsers':
        return { browsers: this.browsers }
      case 'GET settings':
        return this.settings
      case 'POST settings':
        if (body.callback_port === 27420) throw new Refusal(400, 'bad_request', 'callback_port cannot be 27420: that port is the demo provider\'s.')
        return Object.assign(this.settings, body)
      case 'GET diagnosis':
        return {
          checks: [
            { name: 'settings', status: 'ok', says: 'The settings are in /home/ada/.config/keyturn/config.toml.' },
            { name: 'tray', status: 'missing', says: 'There is no tray here. The window and the command line do the same.' },
            { name: 'port', status: 'failed', says: 'Port 27419 is in use by another program. Choose another callback port.' },
          ],
        }
      case 'POST store':
        this.store = id === 'lock' ? { code: 'store_locked', says: 'You locked Keyturn.' } : undefined
        return { ok: true }
      case 'POST provider-files': {
        if (body.document?.includes('github')) throw new Refusal(409, 'conflict', 'GitHub comes with Keyturn and cannot be replaced. Give the file another id.')
        const own = provider('forge', 'Forge', { custom: true })
        if (id === 'preview') {
          return {
            document: body.document ?? 'id: forge',
            provider: own,
            approve: 'https://forge.example',
            sends_to: ['https://forge.example', 'https://evil.example'],
            warnings: ['You would approve at forge.example, and what comes of it would go to another owner’s evil.example. Import this only if you know why.'],
          }
        }
        this.registered.push(own)
        return own
      }
      case 'POST hand-outs':
        this.paused = body.paused
        return body
      case 'POST gateway':
        if (id === 'remove') this.settings.gateway = ''
        else this.settings.gateway = body.url
        return { url: this.settings.gateway }
      case 'GET mcp-servers':
        return { servers: [{ name: 'Notes', url: 'https://mcp.notes.example/mcp' }, { name: 'Postbox', url: 'https://mcp.postbox.example/mcp', needs_app: true }] }
      case 'POST providers': {
        if (verb === 'delete') {
          if (this.connections.some((c) => c.provider === id) && !body.force) throw new Refusal(409, 'conflict', `${id} is in use.`)
          this.registered = this.registered.filter((p) => p.id !== id)
          this.connections = this.connections.filter((c) => c.provider !== id)
          return { id }
        }
        if (id) return { ok: true } // …/console: the app opens the page
        if (/[^a-z0-9-]/.test(body.vars?.subdomain ?? '')) throw new Refusal(400, 'bad_request', 'subdomain is your Zendesk subdomain: letters, digits and hyphens.')
        const made = provider(body.provider_key, 'Zendesk (acme)', { custom: true, extends: body.extends, scopes: [] })
        this.registered.push(made)
        return made
      }
      case 'POST attempts':
        return this.#attempt(rest[0] ?? '') && { ok: true }
      case 'POST internal':
      case 'GET internal': {
        const [, , action = '', next = ''] = rest
        if (action === 'start') return this.start(body)
        if (action === 'status') {
          return World.#status(this.#attempt(next))
        }
        const a = this.#attempt(action)
        if (next === 'confirm') {
          if (body.code !== 'K7QM-2D4X') throw new Refusal(400, 'bad_request', 'That is not the code on the page in your browser. 2 tries are left.')
          this.complete({ account_info: 'ada@demo.example' }, a)
          return { ok: true }
        }
        if (next === 'paste') {
          if (!body.text.includes('code=')) throw new Refusal(400, 'bad_request', 'There is no code in that. Copy the whole address of the page that did not load, from its beginning to its end.')
          this.complete({ account_info: 'ada@demo.example' }, a)
          return { ok: true }
        }
        if (next === 'restart') {
          if (a.status === 'pending') this.fail('superseded', 'You started this again; the newer attempt counts.', a)
          return this.start(a.request)
        }
        if (a.status === 'pending') this.fail('cancelled', 'The attempt was cancelled.', a)
        return { ok: true }
      }
      default:
        throw new Refusal(404, 'not_found', 'There is no such route.')
    }
  }

  /** For node:http and for Vite. @type {(req: Request, res: Response, next?: () => void) => Promise<void>} */
  middleware = async (req, res, next) => {
    const path = (req.url ?? '').replace(/^\/api/, '')
    if (path === req.url) return next?.()
    if (!this.running) {
      req.socket.destroy()
      return
    }
    let text = ''
    for await (const chunk of req) text += chunk
    const body = text ? JSON.parse(text) : undefined
    if (req.method !== 'GET') this.asked.push({ route: `${req.method} ${path}`, body })
    await new Promise((done) => setTimeout(done, 3))
    /** @type {number} */ let status = 200
    /** @type {unknown} */ let answer
    try {
      answer = this.answer(req.method ?? '', path, body)
    } catch (err) {
      if (!(err instanceof Refusal)) throw err
      status = err.status
      answer = { title: 'Refused', status, code: err.code, detail: err.message }
    }
    res.writeHead(status, { 'Content-Type': status === 200 ? 'application/json' : 'application/problem+json' })
    res.end(JSON.stringify(answer))
  }
}
