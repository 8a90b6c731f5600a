// The only file that speaks to Keyturn. Every function is one route of the
// local API; it returns what the route answers, or throws a Fault.

import createClient from 'openapi-fetch'
import { session } from '../session.svelte'
import type { components, paths } from './schema'

type Schemas = components['schemas']
export type Activity = Schemas['Activity']
export type Event = Schemas['Event']
export type Account = Schemas['Connection']
export type App = Schemas['App']
export type Attempt = Schemas['Attempt']
export type AttemptStatus = Schemas['ConnectStatus']
export type Connections = Schemas['Connections']
export type Damaged = Schemas['Damaged']
export type Provider = Schemas['Provider']
export type ProviderSummary = Schemas['ProviderSummary']
export type ProviderRegister = Schemas['ProviderRegister']
export type McpServer = Schemas['MCPServer']
export type ProviderPreview = Schemas['ProviderPreview']
export type Settings = Schemas['Settings']
export type Browser = Schemas['Browser']
export type Check = Schemas['Check']
export type Start = Schemas['ConnectStart']
export type Started = Schemas['ConnectStarted']

/** A failure: a stable code, and the sentence that came with it. */
export class Fault extends Error {
  constructor(
    readonly code: string,
    readonly detail: string,
  ) {
    super(detail || code)
  }
}

// Same origin: the window's own process answers, and no port is involved.
const api = createClient<paths>({ baseUrl: '/api' })
api.use({
  onRequest: ({ request }) => session.sign(request),
  onResponse: ({ response }) => {
    if (response.status === 401) session.end()
  },
})

/** Exchanges the secret of a link for a session; what went wrong has ended it. */
export async function enter(link: string): Promise<void> {
  try {
    const answer = await fetch('/api/session', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ link }) })
    if (!answer.ok) return session.end()
    session.begin(String(((await answer.json()) as { session: unknown }).session))
  } catch {
    session.end()
  }
}

type Answer<T> = { data?: T; error?: unknown; response: Response }

async function answer<T>(request: Promise<Answer<T>>): Promise<T> {
  let got: Answer<T>
  try {
    got = await request
  } catch {
    throw new Fault('unreachable', '') // no answer, or one that is not JSON
  }
  if (got.response.ok && got.data !== undefined) return got.data
  const problem = got.error as Partial<Schemas['Problem']> | undefined
  throw new Fault(problem?.code ?? 'internal', problem?.detail ?? '')
}

export const connections = () => answer(api.GET('/v1/connections'))
export const attempts = () => answer(api.GET('/v1/attempts')).then((a) => a.attempts)
export const providers = () => answer(api.GET('/v1/providers')).then((p) => p.providers)
export const apps = () => answer(api.GET('/v1/apps')).then((a) => a.apps)

/** What happened, newest first. */
export const activity = (query: { limit: number; connection_id?: string }) => answer(api.GET('/v1/activity', { params: { query } }))

export const provider = (id: string) => answer(api.GET('/v1/providers/{id}', { params: { path: { id } } }))

/** Has the app open the page where an OAuth app is registered. */
export const openConsole = (id: string) =>
  answer(api.POST('/v1/providers/{id}/console', { params: { path: { id } } }))

export const saveApp = (body: Schemas['AppUpsert']) => answer(api.POST('/v1/apps', { body }))

export const ping = (id: string) => answer(api.POST('/v1/connections/{id}/ping', { params: { path: { id } } }))

export const disconnect = (id: string) =>
  answer(api.POST('/v1/connections/{id}/disconnect', { params: { path: { id } } }))

export const settings = () => answer(api.GET('/v1/settings'))
/** Changes some settings: what is neither here nor required stays as it is. */
export const saveSettings = ({ callback_port, notifications }: Settings, change: Partial<Settings>) =>
  answer(api.POST('/v1/settings', { body: { callback_port, notifications, ...change } }))
export const browsers = async () => (await answer(api.GET('/v1/browsers'))).browsers
export const diagnosis = () => answer(api.GET('/v1/diagnosis'))
/** Holds back tokens from every program, or lets them go on. */
export const handOuts = (paused: boolean) => answer(api.POST('/v1/hand-outs', { body: { paused } }))
export const lock = () => answer(api.POST('/v1/store/lock'))
export const unlock = (passphrase: string) => answer(api.POST('/v1/store/unlock', { body: passphrase ? { passphrase } : {} }))

/** Tests a gateway, and uses it from now on. */
export const addGateway = (url: string) => answer(api.POST('/v1/gateway', { body: { url } }))
export const removeGateway = () => answer(api.POST('/v1/gateway/remove'))

export const mcpServers = async () => (await answer(api.GET('/v1/mcp-servers'))).servers

export const registerProvider = (body: ProviderRegister) => answer(api.POST('/v1/providers', { body }))

/** Reads a provider file, or the one at an address, and says what it would do. */
export const previewProvider = (body: Schemas['ProviderDocument']) => answer(api.POST('/v1/provider-files/preview', { body }))
export const importProvider = (document: string) => answer(api.POST('/v1/provider-files/import', { body: { document } }))

/** Forgets a provider of the user's own; with force what uses it, too. */
export const deleteProvider = (id: string, force: boolean) =>
  answer(api.POST('/v1/providers/{id}/delete', { params: { path: { id } }, body: { force } }))

export const start = (body: Start) => answer(api.POST('/v1/internal/oauth/connect/start', { body }))

export const status = (state: string) =>
  answer(api.GET('/v1/internal/oauth/connect/status/{state}', { params: { path: { state } } }))

/** Has the app open the page of an attempt again. */
export const openAttempt = (state: string) => answer(api.POST('/v1/attempts/{state}/open', { params: { path: { state } } }))

export const cancel = (state: string) =>
  answer(api.POST('/v1/internal/oauth/connect/{state}/cancel', { params: { path: { state } } }))

export const paste = (state: string, text: string) =>
  answer(api.POST('/v1/internal/oauth/connect/{state}/paste', { params: { path: { state } }, body: { text } }))

export const confirm = (state: string, code: string) =>
  answer(api.POST('/v1/internal/oauth/connect/{state}/confirm', { params: { path: { state } }, body: { code } }))

export const restart = (state: string) =>
  answer(api.POST('/v1/internal/oauth/connect/{state}/restart', { params: { path: { state } } }))
