// Times as people say them. Every function is given the present, so that the
// one clock decides when a text changes.

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** A time nearer than this is told in seconds. */
export const NEAR = 90 * SECOND

// From a size on, this unit: 90 minutes still are minutes, 47 hours still hours.
const units: [from: number, unit: Intl.RelativeTimeFormatUnit, size: number][] = [
  [730 * DAY, 'year', 365 * DAY],
  [60 * DAY, 'month', 30 * DAY],
  [2 * DAY, 'day', DAY],
  [2 * HOUR, 'hour', HOUR],
  [NEAR, 'minute', MINUTE],
  [0, 'second', SECOND],
]

/** Keeps what make made: a formatter costs a thousand times what it does once. */
function kept<T>(make: (language: string, how: string) => T): (language: string, how?: string) => T {
  const all = new Map<string, T>()
  return (language, how = '') => {
    const key = `${language} ${how}`
    let one = all.get(key)
    if (!one) all.set(key, (one = make(language, how)))
    return one
  }
}

const relatives = kept((language, numeric) => new Intl.RelativeTimeFormat(language, { numeric: numeric === 'auto' ? 'auto' : 'always' }))
const moments = kept((language) => new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'medium' }))
const times = kept((language) => new Intl.DateTimeFormat(language, { timeStyle: 'short' }))

// Minutes that are many are counted by fives: a text that changes has a reason to.
const MANY = 15

function rounded(away: number, unit: Intl.RelativeTimeFormatUnit, size: number): number {
  const n = Math.trunc(away / size) || 0
  return unit === 'minute' && Math.abs(n) >= MANY ? n - (n % 5) : n
}

/** How far a time is from now, as far as it is told: "50 minute", "-8 hour". What is said of a time changes when this does. */
export function distance(time: string, now: number): string {
  const away = Date.parse(time) - now
  for (const [from, unit, size] of units) {
    if (Math.abs(away) >= from) return `${rounded(away, unit, size)} ${unit}`
  }
  return '0 second'
}

/** "in 50 minutes", "8 minutes ago", "now". */
export function relative(distance: string, language = 'en'): string {
  const [n, unit] = distance.split(' ') as [string, Intl.RelativeTimeFormatUnit]
  const numeric = n === '0' ? 'auto' : 'always' // "now" rather than "in 0 seconds"
  return relatives(language, numeric).format(Number(n), unit)
}

/** The moment itself, for whoever wants to know exactly. */
export function absolute(time: string, language = 'en'): string {
  return moments(language).format(new Date(time))
}

/** The day of a time, as it is called now: "Today", "Yesterday", "Friday 2 January". */
export function dayName(time: string, now: number, language = 'en'): string {
  const midnight = (at: number) => new Date(at).setHours(0, 0, 0, 0)
  const then = midnight(Date.parse(time))
  const days = Math.round((then - midnight(now)) / DAY) // a day may have 23 hours, or 25
  if (days === 0 || days === -1) {
    const name = relatives(language, 'auto').format(days, 'day')
    return name.charAt(0).toUpperCase() + name.slice(1)
  }
  const year = new Date(then).getFullYear() === new Date(now).getFullYear() ? {} : ({ year: 'numeric' } as const)
  return new Intl.DateTimeFormat(language, { weekday: 'long', day: 'numeric', month: 'long', ...year }).format(then)
}

/** Hours and minutes. */
export function timeOfDay(time: string, language = 'en'): string {
  return times(language).format(new Date(time))
}

/** The time, and the day when it is another. */
export function moment(time: string, now: number, language = 'en'): string {
  const day = (at: number) => new Date(at).toDateString()
  return day(Date.parse(time)) === day(now) ? timeOfDay(time, language) : absolute(time, language)
}

/** A length of time as a stopwatch shows it: 0:07, 4:59, 1:00:00. */
export function stopwatch(milliseconds: number): string {
  const total = Math.max(0, Math.floor(milliseconds / SECOND))
  const two = (n: number) => String(n).padStart(2, '0')
  const [hours, minutes, seconds] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60]
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`
}
