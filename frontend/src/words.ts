// From what the API says to what a person reads: every status, step and code
// has words, and the compiler knows when one has none.

import type { Account, Attempt, Connections, Fault } from './api/client'
import { language, texts, type Code } from './texts'
import { moment } from './time'

export type Shape = 'full' | 'half' | 'turning' | 'warning' | 'tick' | 'cross' | 'empty'
export type State = { word: string; shape: Shape }
export type Words = { says: string; todo: string }

export function assertNever(value: never): never {
  throw new Error(`no words for ${String(value)}`)
}

export function connectionState(status: Account['status']): State {
  const words = texts.connection
  switch (status) {
    case 'connected':
      return { word: words.connected, shape: 'full' }
    case 'retrying':
      return { word: words.retrying, shape: 'half' }
    case 'needs_reconnect':
      return { word: words.needs_reconnect, shape: 'warning' }
    case 'revoking':
      return { word: words.revoking, shape: 'half' }
    default:
      return assertNever(status)
  }
}

/** How a connection is, in a sentence: in Keyturn's own words, which are the same everywhere, or the same facts in another language. */
export function health(c: Account): string {
  const words = texts.health
  if (!words) return c.health && `${capital(c.health)}.`
  const why = c.reason ? faultWords(c.reason, c.provider_name).says : ''
  const next = c.next_try_at && Date.parse(c.next_try_at) > Date.now() ? moment(c.next_try_at, Date.now(), language) : words.now
  const since = c.since ? moment(c.since, Date.now(), language) : words.now
  switch (c.status) {
    case 'needs_reconnect':
      return words.needs_reconnect(why)
    case 'retrying':
      return words.retrying(since, next, why)
    case 'revoking':
      return words.revoking(since, next, why)
    case 'connected':
      return c.unsaved ? words.unsaved : ''
    default:
      return assertNever(c.status)
  }
}

/** When the user will have to sign in again, and what would put an end to that: in the same way. */
export function forecastWords(c: Account): string {
  const f = c.forecast
  if (!f) return ''
  const words = texts.health?.forecast[f.reason]
  return [words ? words(c.provider_name) : f.says, f.fix].filter(Boolean).join(' ')
}

export function attemptState(status: Attempt['status']): State {
  const words = texts.attempt.state
  switch (status) {
    case 'pending':
      return { word: words.pending, shape: 'turning' }
    case 'complete':
      return { word: words.complete, shape: 'tick' }
    case 'error':
      return { word: words.error, shape: 'cross' }
    default:
      return assertNever(status)
  }
}

export type Step = NonNullable<Attempt['step']>

/** The steps in their order. */
export const steps = ['waiting_for_browser', 'exchanging', 'identifying', 'saving'] as const satisfies readonly Step[]

/** The place of a step in that order: a confirmation belongs to the first. */
export const placeOf = (step: Step) => (step === 'awaiting_confirmation' ? 0 : steps.indexOf(step))

/** What is being done in a step, and how it reads once it is done. */
export function stepWords(step: Step, provider: string): { now: string; done: string } {
  const words = texts.attempt.steps
  switch (step) {
    case 'awaiting_confirmation':
      return words.awaiting_confirmation()
    case 'waiting_for_browser':
      return words.waiting_for_browser(provider)
    case 'exchanging':
      return words.exchanging(provider)
    case 'identifying':
      return words.identifying(provider)
    case 'saving':
      return words.saving()
    default:
      return assertNever(step)
  }
}

export function protectorSentence(protector: Connections['protector']): string {
  const words = texts.protector
  switch (protector) {
    case 'keyring':
      return words.keyring
    case 'passphrase':
      return words.passphrase
    case 'key_file':
      return words.key_file
    default:
      return assertNever(protector)
  }
}

export function isCode(code: string): code is Code {
  return Object.hasOwn(texts.faults, code)
}

/** What happened, and what to do. A code from a newer Keyturn gets plain words. */
export function faultWords(code: string, provider: string = texts.someProvider): Words {
  const words = isCode(code) ? texts.faults[code](provider) : texts.unknownFault(code)
  return { says: capital(words.says), todo: words.todo }
}

// The sentence that comes with these codes says which value, port or file it
// is about; the others are said in our words, which do not speak of commands.
const specific: ReadonlySet<string> = new Set<Code>([
  'bad_request', 'conflict', 'discovery_failed', 'disk_full', 'internal', 'port_in_use', 'rate_limited', 'store_damaged', 'store_locked',
])

/** One sentence or two about an action that failed. */
export function explain(fault: Fault, provider?: string): string {
  const { says, todo } = faultWords(fault.code, provider)
  const detail = specific.has(fault.code) || !isCode(fault.code) ? fault.detail : ''
  if (!detail) return `${says} ${todo}`
  return texts.detail(says, detail)
}

const capital = (sentence: string) => sentence.charAt(0).toUpperCase() + sentence.slice(1)
