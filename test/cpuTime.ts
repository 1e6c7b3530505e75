/** Milliseconds of processor time that this thread has had: other than the clock it does not go on while others run. */
export const cpuTime = (): number => {
  const { system, user } = process.threadCpuUsage()
  return (system + user) / 1000
}
