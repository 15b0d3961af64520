//! POSIX message queues: mq_open(2), mq_timedsend(2), mq_notify(2).

consts! {
    u32 {
        // Priorities lie below.
        MQ_PRIO_MAX = 32768,
    }
}

pods! {
    /// `struct mq_attr`.
    MqAttr { mq_flags: i64, mq_maxmsg: i64, mq_msgsize: i64, mq_curmsgs: i64, __reserved: [i64; 4], }
}
