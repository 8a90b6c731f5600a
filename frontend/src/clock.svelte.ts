// The one clock of the window: relative times live by reading it. It ticks as
// often as what is shown needs it, and stands still while nobody looks.

import { createSubscriber } from 'svelte/reactivity'
import { NEAR } from './time'

const SECOND = 1000

/** How often times change that are not near. */
const SELDOM = 60 * SECOND

const every = (period: number) =>
  createSubscriber((update) => {
    const tick = () => {
      if (document.visibilityState === 'visible') update()
    }
    const timer = setInterval(tick, period)
    document.addEventListener('visibilitychange', tick)
    return () => {
      clearInterval(timer)
      document.removeEventListener('visibilitychange', tick)
    }
  })

class Clock {
  #second = every(SECOND)
  #seldom = every(SELDOM)

  /** The present, by the second. */
  get now(): number {
    this.#second()
    return Date.now()
  }

  /** The present, for a text that changes with the minute or the day. */
  get today(): number {
    this.#seldom()
    return Date.now()
  }

  /** The present, as often as a text about a time changes. */
  beside(time: string): number {
    const away = Math.abs(Date.parse(time) - this.today)
    return away < NEAR + SELDOM ? this.now : this.today // it may be near before it is looked at seldom again
  }
}

export const clock = new Clock()
