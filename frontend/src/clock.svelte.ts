// The one clock of the window: relative times live by reading it. It stands
// still while nobody looks.

class Clock {
  now = $state(Date.now())
}

export const clock = new Clock()

const tick = () => {
  if (document.visibilityState === 'visible') clock.now = Date.now()
}

setInterval(tick, 1000)
document.addEventListener('visibilitychange', tick)
