import { expect, test } from 'vitest'
import { absolute, dayName, distance, relative, stopwatch, timeOfDay } from './time'

const now = Date.parse('2026-03-01T12:00:00Z')
const away = (seconds: number) => relative(distance(new Date(now + seconds * 1000).toISOString(), now))

test.each([
  [0, 'now'],
  [0.4, 'now'],
  [-0.4, 'now'],
  [30, 'in 30 seconds'],
  [-1, '1 second ago'],
  [89, 'in 89 seconds'],
  [90, 'in 1 minute'],
  [-8 * 60, '8 minutes ago'],
  [14 * 60, 'in 14 minutes'],
  [119 * 60, 'in 115 minutes'],
  [2 * 3600, 'in 2 hours'],
  [-47 * 3600, '47 hours ago'],
  [48 * 3600, 'in 2 days'],
  [59 * 86400, 'in 59 days'],
  [-90 * 86400, '3 months ago'],
  [800 * 86400, 'in 2 years'],
])('%d s away is "%s"', (seconds, words) => expect(away(seconds)).toBe(words))

test('a time never reads as later than it is', () => {
  for (let s = 1; s < 200_000; s += 97) {
    const said = /in (\d+) (second|minute|hour|day)/.exec(away(s))
    const size = { second: 1, minute: 60, hour: 3600, day: 86400 }[said?.[2] ?? ''] ?? NaN
    expect(Number(said?.[1]) * size).toBeLessThanOrEqual(s)
  }
})

test('another language is a parameter', () => {
  expect(relative(distance('2026-03-01T11:52:00Z', now), 'de')).toBe('vor 8 Minuten')
  expect(absolute('2026-03-01T11:52:00Z', 'en')).toMatch(/2026/)
})

test.each([
  [0, '0:00'],
  [-5000, '0:00'],
  [7_900, '0:07'],
  [299_000, '4:59'],
  [3_600_000, '1:00:00'],
  [3_661_000, '1:01:01'],
])('%d ms on the stopwatch is %s', (ms, shown) => expect(stopwatch(ms)).toBe(shown))

test('days are called as people call them', () => {
  const now = new Date(2026, 2, 1, 0, 30).getTime()
  const on = (...at: [number, number, number, number?]) => dayName(new Date(...at).toISOString(), now, 'en-GB')
  expect(on(2026, 2, 1, 23)).toBe('Today')
  expect(on(2026, 1, 28, 23)).toBe('Yesterday')
  expect(on(2026, 1, 27)).toBe('Friday 27 February')
  expect(on(2025, 11, 31)).toMatch(/^Wednesday,? 31 December 2025$/)
  expect(on(2026, 2, 2)).toBe('Monday 2 March') // a clock that was set back
  expect(timeOfDay(new Date(2026, 2, 1, 9, 5).toISOString(), 'en-GB')).toBe('09:05')
})
