//! Passwords that everybody tries first, in lower case, of eight characters and more (shorter ones fail on their length).
//! A list of the commonest patterns, not of leaked passwords: that would be a service to ask, and is not for this room.

/// Compared as a whole, without regard to case.
#[rustfmt::skip]
pub(super) const COMMON: &[&str] = &[
    "password", "password1", "password12", "password123", "password1234", "password!", "password1!", "password123!", "p@ssword",
    "p@ssw0rd", "passw0rd", "pa55word", "pa55w0rd", "passwort", "passwords", "mypassword", "newpassword", "thepassword",
    "secret123", "secret1234", "topsecret", "changeme", "changeme1", "changeme123", "changeit", "letmein1", "letmein123",
    "letmeinnow", "welcome1", "welcome12", "welcome123", "welcome1!", "default1", "default123", "administrator", "admin123",
    "admin1234", "admin12345", "administrator1", "adminadmin", "rootroot", "root1234", "toor1234", "12345678", "123456789",
    "1234567890", "0123456789", "01234567", "012345678", "0987654321", "987654321", "9876543210", "87654321", "12341234",
    "11223344", "1122334455", "12344321", "123123123", "123321123", "147258369", "123454321", "13579246", "24681357",
    "10203040", "1q2w3e4r", "1q2w3e4r5t", "1q2w3e4r5t6y", "1qaz2wsx", "1qaz2wsx3edc", "zaq12wsx", "zaq1zaq1", "q1w2e3r4",
    "q1w2e3r4t5", "123qweasd", "123qwe123", "qwe123456", "qwertyui", "qwertyuiop", "qwerty12", "qwerty123", "qwerty1234",
    "qwerty12345", "qwertyqwerty", "qwertz123", "qwertzui", "qwertzuiop", "azertyui", "azertyuiop", "azerty123", "asdfghjk",
    "asdfghjkl", "asdf1234", "asdfasdf", "zxcvbnm1", "zxcvbnm123", "zxcvbnma", "1234qwer", "qazwsxedc", "qazwsx123", "abcdefgh",
    "abcdefghi", "abcdefghij", "abcd1234", "abc12345", "abc123456", "abcabc123", "abc123abc", "a1b2c3d4", "a1b2c3d4e5",
    "aa123456", "a1234567", "a12345678", "a123456789", "1a2b3c4d", "iloveyou", "iloveyou1", "iloveyou2", "iloveyou123",
    "ilovegod", "loveyou1", "lovelove", "loverboy", "mylove123", "sunshine", "sunshine1", "princess", "princess1", "football",
    "football1", "baseball", "baseball1", "basketball", "superman", "superman1", "batman123", "spiderman", "starwars",
    "startrek", "pokemon1", "pokemon123", "minecraft", "liverpool", "chelsea1", "arsenal1", "barcelona", "realmadrid",
    "manchester", "michael1", "jennifer", "jessica1", "charlie1", "jordan23", "anthony1", "samantha", "elizabeth", "alexander",
    "victoria", "christian", "benjamin", "danielle", "michelle", "nicole123", "computer", "computer1", "internet", "internet1",
    "whatever", "whatever1", "trustno1", "dragon123", "monkey123", "shadow123", "master123", "mustang1", "corvette", "mercedes",
    "ferrari1", "harley123", "freedom1", "blink182", "metallica", "nirvana1", "slipknot1", "babygirl", "babygirl1", "butterfly",
    "chocolate", "cheese123", "cookie123", "banana123", "summer123", "summer2024", "summer2025", "summer2026", "winter123",
    "winter2024", "winter2025", "winter2026", "spring2025", "spring2026", "autumn2025", "monday123", "january1", "december",
    "november", "september", "test1234", "testtest", "testing1", "testing123", "test12345", "tester123", "guest123",
    "guest1234", "user1234", "demo1234", "temp1234", "temporary", "company123", "login123", "access14", "hello123", "hello1234",
    "helloworld", "hellohello", "google123", "facebook", "linkedin", "samsung1", "nothing1", "asdfjkl;", "!qaz2wsx", "!@#$%^&*",
    "qwerty!1", "pass1234", "pass12345", "passpass", "00000001", "19841984", "19901990", "20202020",
];
