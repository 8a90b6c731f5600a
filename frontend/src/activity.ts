// Activity in words, and by days. A sentence says who did what and to which
// account; the time stands beside it.

import type { Event } from './api/client'
import { texts } from './texts'
import type { Shape } from './words'

/** An account and where it is, as far as an event says. */
export function whose(e: Pick<Event, 'account' | 'provider_name' | 'provider'>): string {
  const provider = e.provider_name || e.provider || ''
  if (e.account && provider) return texts.activity.account(e.account, provider)
  return e.account || provider || texts.activity.someAccount
}

/** What happened, in one sentence. A kind from a newer Keyturn gets plain words. */
export function happened(e: Event): string {
  const t = texts.activity
  const who = e.program || t.someProgram
  const failed = e.code !== undefined && (e.kind === 'token_read' || e.kind === 'request')
  const say = failed ? t.failed[e.kind as 'token_read' | 'request'] : Object.hasOwn(t.happened, e.kind) ? t.happened[e.kind] : t.unknown(e.kind)
  const sentence = say(whose(e), who, e.count)
  // Names stay as they are written.
  const ours = [t.someAccount, t.someProgram].some((words) => sentence.startsWith(words))
  return ours ? sentence.charAt(0).toUpperCase() + sentence.slice(1) : sentence
}

/** Good news, bad news, or only news. */
export function shapeOf(e: Event): Shape {
  switch (e.kind) {
    case 'needs_reconnect':
      return 'warning'
    case 'connect_failed':
    case 'refresh_failed':
    case 'revocation_failed':
      return 'cross'
    case 'connected':
    case 'refreshed':
    case 'revoked':
      return 'tick'
    default:
      return e.code ? 'cross' : 'empty'
  }
}

/** What the list can be narrowed to. */
export const subjects = {
  accounts: ['connected', 'connect_failed', 'needs_reconnect', 'disconnected', 'revoked', 'revocation_failed'],
  renewals: ['refreshed', 'refresh_failed', 'needs_reconnect'],
  programs: ['token_read', 'request'],
  trouble: ['connect_failed', 'refresh_failed', 'needs_reconnect', 'revocation_failed'],
} satisfies Record<string, Event['kind'][]>

export type Subject = keyof typeof subjects

/** The events about a subject; all for one that is not known. What failed is trouble, whatever it was. */
export function about(events: Event[], subject: string): Event[] {
  const kinds: string[] | undefined = Object.hasOwn(subjects, subject) ? subjects[subject as Subject] : undefined
  return kinds ? events.filter((e) => kinds.includes(e.kind) || (subject === 'trouble' && e.code)) : events
}

const columns = ['at', 'until', 'kind', 'provider', 'account', 'program', 'count', 'code', 'connection_id'] as const

/**
 * Events as a table for other programs (RFC 4180), with the sentence last. A
 * name that a spreadsheet would take for a formula gets an apostrophe.
 */
export function csv(events: Event[]): string {
  const cell = (value: unknown) => {
    const text = String(value ?? '').replace(/^(?=[=+\-@\t\r])/, "'")
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  }
  const rows = [[...columns, 'says'], ...events.map((e) => [...columns.map((name) => e[name]), happened(e)])]
  return rows.map((row) => row.map(cell).join(',') + '\r\n').join('')
}

export type Day = { key: string; events: Event[] }

/** Events by the days of this computer's clock, in the order they have. */
export function days(events: Event[]): Day[] {
  const all: Day[] = []
  for (const e of events) {
    const key = new Date(e.at).toDateString()
    const last = all.at(-1)
    if (last?.key === key) last.events.push(e)
    else all.push({ key: all.some((d) => d.key === key) ? `${key} ${e.id}` : key, events: [e] }) // a clock that was set back
  }
  return all
}
