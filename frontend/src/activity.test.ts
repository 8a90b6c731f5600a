import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { about, csv, days, happened, shapeOf, whose } from './activity'
import type { Event } from './api/client'
import { texts } from './texts'

// The list of kinds is Go's: what the program records, the window can word.
const source = readFileSync(new URL('../../backend/activity/activity.go', import.meta.url), 'utf8')
const kinds = [...source.matchAll(/\bKind = "([a-z_]+)"/g)].map((m) => m[1] as Event['kind'])

const event = (more: Partial<Event>): Event => ({ id: 1, at: '2026-01-02T12:00:00Z', kind: 'token_read', count: 1, ...more })

test('every kind that is recorded has words, and no other', () => {
  expect(kinds.length).toBeGreaterThan(10)
  expect(Object.keys(texts.activity.happened).sort()).toEqual([...kinds].sort())
})

test.each(kinds)('%s is one whole sentence, with all and with nothing known', (kind) => {
  for (const e of [event({ kind }), event({ kind, provider: 'github', provider_name: 'GitHub', account: 'ada', program: 'git', code: 'denied', count: 7 })]) {
    expect(happened(e)).toMatch(/\w.*\.$/)
    expect(happened(e)).not.toMatch(/undefined|NaN|\$\{| {2}/)
  }
})

test('a read says who, whose and how often', () => {
  const read = { provider: 'github', provider_name: 'GitHub', account: 'ada', program: 'git' }
  expect(happened(event(read))).toBe('git read the token of ada at GitHub.')
  expect(happened(event({ ...read, count: 340 }))).toBe('git read the token of ada at GitHub 340 times.')
  expect(happened(event({ ...read, code: 'needs_reconnect' }))).toBe('git asked for the token of ada at GitHub and got none.')
  expect(happened(event({ kind: 'request', count: 2, provider: 'gone' }))).toBe('A program made 2 requests as gone.')
})

test('a kind from a newer program still reads as a sentence', () => {
  for (const kind of ['eclipse', 'constructor']) {
    expect(happened(event({ kind: kind as Event['kind'] }))).toBe(`Keyturn reports “${kind}” about an account.`)
  }
})

test('whose names what there is', () => {
  expect(whose({ account: 'ada' })).toBe('ada')
  expect(whose({ provider: 'acme' })).toBe('acme')
  expect(whose({})).toBe('an account')
})

test('what went wrong has a shape of its own', () => {
  expect(shapeOf(event({}))).toBe('empty')
  expect(shapeOf(event({ code: 'ambiguous' }))).toBe('cross')
  expect(shapeOf(event({ kind: 'needs_reconnect' }))).toBe('warning')
})

test('events are grouped by the days of this clock, in their order', () => {
  const at = (id: number, day: number, hour: number) => event({ id, at: new Date(2026, 0, day, hour).toISOString() })
  const grouped = days([at(5, 3, 0), at(4, 2, 23), at(3, 2, 1), at(2, 3, 5), at(1, 1, 1)])
  expect(grouped.map((d) => d.events.map((e) => e.id))).toEqual([[5], [4, 3], [2], [1]])
  expect(new Set(grouped.map((d) => d.key)).size, 'no two have the same key').toBe(4)
})

test('a subject narrows the list, and what failed is trouble whatever it was', () => {
  const all = [event({ kind: 'connected' }), event({ kind: 'refreshed' }), event({ kind: 'token_read', code: 'needs_reconnect' }), event({ kind: 'locked' })]
  const kinds = (subject: string) => about(all, subject).map((e) => e.kind)
  expect(kinds('')).toHaveLength(4)
  expect(kinds('nonsense')).toHaveLength(4)
  expect(kinds('toString')).toHaveLength(4)
  expect(kinds('accounts')).toEqual(['connected'])
  expect(kinds('programs')).toEqual(['token_read'])
  expect(kinds('trouble')).toEqual(['token_read'])
})

test('a table has a line for each event, and holds no formula', () => {
  const [head, first, second, end] = csv([
    event({ kind: 'connected', account: '=cmd|"/c calc"!A1', count: 1 }),
    event({ kind: 'token_read', account: 'ada, "the first"', program: '@sum', count: 3 }),
  ]).split('\r\n')
  expect(head).toBe('at,until,kind,provider,account,program,count,code,connection_id,says')
  expect(first).toContain(`,"'=cmd|""/c calc""!A1",`)
  expect(second).toContain(`,"ada, ""the first""",'@sum,3,`)
  expect(end).toBe('')
})
