// The one picture of the world that every view draws. It is read again when
// the bell rings, when the user comes back, and after our own actions; nothing
// else changes it.

import * as api from './api/client'
import { Fault } from './api/client'
import { onChange } from './host'
import { session } from './session.svelte'
import { authPage } from './webpage'

class Snapshot {
  /** Undefined until the first answer. */
  connections = $state.raw<api.Connections>()
  attempts = $state.raw<api.Attempt[]>([])
  providers = $state.raw<api.ProviderSummary[]>()
  /** Why the last reading failed; the picture is then the one before. */
  fault = $state.raw<Fault>()
  /** What this window was told when it started an attempt, by status handle. */
  started = $state.raw<Record<string, api.Started>>({})

  /** Called after each reading that was answered. */
  onRead: () => unknown = () => {}

  /** How an attempt stood last, also when Keyturn has forgotten it since. */
  attempt(state: string): api.Attempt | undefined {
    return this.attempts.find((a) => a.state === state) ?? this.#ended[state]
  }

  get pending(): api.Attempt[] {
    return this.attempts.filter((a) => a.status === 'pending')
  }

  #ended = $state.raw<Record<string, api.Attempt>>({})
  #reading: Promise<void> | undefined
  #again = false

  /** Reads everything; calls that come meanwhile share one further reading. */
  read(): Promise<void> {
    if (this.#reading) {
      this.#again = true
      return this.#reading
    }
    this.#reading = this.#read().finally(() => (this.#reading = undefined))
    return this.#reading
  }

  async #read(): Promise<void> {
    do {
      this.#again = false
      try {
        const [connections, attempts] = await Promise.all([api.connections(), api.attempts()])
        this.connections = connections
        this.#show(attempts)
        if (this.providers) this.providers = await api.providers()
        this.fault = undefined
        await this.onRead()
      } catch (err) {
        this.fault = asFault(err)
      }
    } while (this.#again)
  }

  /** Reads the catalogue too, from now on. */
  async readProviders(): Promise<void> {
    this.providers = await api.providers()
  }

  /** Asks how one attempt stands; an attempt that nobody knows is left alone. */
  async follow(state: string): Promise<void> {
    const known = this.attempt(state)
    if (!known) return this.read()
    try {
      const now = { ...known, ...(await api.status(state)) }
      this.#show(this.attempts.map((a) => (a.state === state ? now : a)))
    } catch (err) {
      // The list says what is so, and whether anybody answers.
      if (asFault(err).code === 'state_unknown') await this.read()
    }
  }

  #show(attempts: api.Attempt[]): void {
    this.attempts = attempts
    const ended = attempts.filter((a) => a.status !== 'pending')
    if (ended.length > 0) this.#ended = { ...this.#ended, ...Object.fromEntries(ended.map((a) => [a.state, a])) }
  }

  async start(request: api.Start): Promise<api.Started> {
    return this.#remember(await api.start(request))
  }

  /** In a browser of the user's the next tab is opened from here: Keyturn may run elsewhere. */
  #open(started: api.Started): void {
    const page = authPage(started.auth_url)
    if (session.here && page && !started.joined && started.transport !== 'device') window.open(page, '_blank', 'noopener')
  }

  async restart(state: string): Promise<api.Started> {
    return this.#remember(await api.restart(state))
  }

  async #remember(started: api.Started): Promise<api.Started> {
    this.#open(started)
    if (started.state) this.started = { ...this.started, [started.state]: { ...this.started[started.state], ...started } }
    await this.read()
    return started
  }
}

export function asFault(err: unknown): Fault {
  return err instanceof Fault ? err : new Fault('internal', '')
}

export const snapshot = new Snapshot()

/** Keeps the picture current until the returned function is called. */
export const watch = () => onChange(() => void snapshot.read())
